"""The models and the report on a Postgres server: what they say on DuckDB of the same account."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from klaviyo_assets.models.project import is_installed
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import server
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.servers import check_same, check_taken_along
from klaviyo_assets_tests.warehouse.databases import postgres_database

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not is_installed("postgres"), reason="the extra `models-postgres` is not installed"),
]

SECRET = "very-s3cret"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary folders of dbt stay, to be looked at."""
    folder = tmp_path / "kept"
    folder.mkdir()

    @contextmanager
    def keep(prefix: str) -> Iterator[str]:
        yield tempfile.mkdtemp(prefix=prefix, dir=folder)

    monkeypatch.setattr("klaviyo_assets.models.run.tempfile.TemporaryDirectory", keep)
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    return folder


def test_the_models_say_what_they_say_on_duckdb(
    tmp_path: Path,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Built anew, and once more after news of an event, a name and a property; with the same keys. `test_marts` has the
    marts."""
    caplog.set_level("DEBUG")
    address = postgres_database(tmp_path)
    at = server(address)
    assert at and at.database
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres:@", f"postgres:{SECRET}@"))
    without_marts = {"klaviyo__marts": False}
    both = [
        Settings(shopify_schema="shop", model_variables=without_marts),
        Settings(shopify_schema="shop", model_variables=without_marts, warehouse=f"{at.database}.duckdb"),
    ]
    assert both[0].url_variable == "KLAVIYO_WAREHOUSE"
    check_same(*both, tmp_path / "home")

    written = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".duckdb"]
    assert any(file.name == "profiles.yml" and b"postgres" in file.read_bytes() for file in written)
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in "".join(capfd.readouterr()) + caplog.text + repr([vars(record) for record in caplog.records])


@pytest.mark.parametrize("database", ["postgres", "duckdb"])
def test_columns_to_take_along_of_which_accounts_have_other_ones(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    address = postgres_database(tmp_path) if database == "postgres" else str(tmp_path / "w.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    check_taken_along(tmp_path)
