"""The models and the report on a Postgres server: what they say on DuckDB of the same account."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of, server
from klaviyo_assets_tests.models import by_hand
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.servers import MODELS, check_same
from klaviyo_assets_tests.warehouse.databases import postgres_database

pytestmark = pytest.mark.skipif(not is_installed("postgres"), reason="the extra `models-postgres` is not installed")

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
    """Built anew, and once more after news of an event, a name and a property; with the same keys."""
    caplog.set_level("DEBUG")
    address = postgres_database(tmp_path)
    at = server(address)
    assert at and at.database
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres:@", f"postgres:{SECRET}@"))
    both = [
        Settings(shopify_schema="shop"),
        Settings(shopify_schema="shop", warehouse=f"{at.database}.duckdb"),
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
    """One that the first two accounts lack, one that is a number of the third and text of the last, one of nobody."""
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    address = postgres_database(tmp_path) if database == "postgres" else str(tmp_path / "w.duckdb")
    accounts = ["a1", "a2", "a3", "a4"]
    values = [{}, {}, {"property_size": 3, "property_mixed": 1}, {"property_size": 5, "property_mixed": "one"}]
    for account, properties in zip(accounts, values, strict=True):
        settings = Settings(warehouse=address, schema=account)
        event = by_hand.event(f"of {account}", "03-01 10:00", "p1", "Placed Order", **properties)
        by_hand.put(warehouse_of(settings), "event", [event])
    taken = [f"property_{name}" for name in ("size", "mixed", "of_nobody")]
    variables = dbt_variables(settings) | {
        "klaviyo_sources": [{"schema": account} for account in accounts],
        "klaviyo__event_pass_through_columns": taken,
    }
    results = dbt_build(
        target_of(warehouse_of(settings), kind_of(address), MODELS),
        select=["+klaviyo__events"],
        variables=variables,
        cache=tmp_path / "cache",
        log=logging.getLogger(__name__),
    )
    assert [result.message for result in results if result.is_failure] == []
    with warehouse_of(settings).session(writes=False) as session:
        chosen = ", ".join(["event_id", *taken])
        rows = session.sql(f"SELECT {chosen} FROM {session.name(MODELS, 'klaviyo__events')} ORDER BY 1")
    nothing = (None, None, None)
    assert rows == [
        ("of a1", *nothing), ("of a2", *nothing), ("of a3", 3, "1", None), ("of a4", 5, "one", None)
    ]  # fmt: skip
