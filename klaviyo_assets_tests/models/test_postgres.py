"""The models and the report on a Postgres server: what they say on DuckDB of the same account."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli import runs
from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.figures import read_figures
from klaviyo_assets.models.project import is_installed, read_project
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of, server
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.models import by_hand
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.warehouse.databases import postgres_database

pytestmark = pytest.mark.skipif(not is_installed("postgres"), reason="the extra `models-postgres` is not installed")

SECRET = "very-s3cret"
MODELS = "klaviyo_models"
NEVER_THE_SAME = {"klaviyo__events": {"_fivetran_synced"}}


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def contents(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """All rows of all models, by model, in an order of their own."""
    found = {}
    with warehouse.session(writes=False) as session:
        for model in read_project():
            names = sorted(set(session.columns(MODELS, model.name)) - NEVER_THE_SAME.get(model.name, set()))
            chosen = ", ".join(f'"{name}"' for name in names)
            rows = session.sql(f"SELECT {chosen} FROM {session.name(MODELS, model.name)}")
            found[model.name] = sorted(
                ({name: plain(value) for name, value in zip(names, row, strict=True)} for row in rows), key=repr
            )
    return found


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
    seen: list[list[Any]] = [[], []]
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        for settings, said in zip(both, seen, strict=True):
            warehouse, definitions = warehouse_of(settings), build_definitions(settings)
            by_hand.put_account(warehouse)
            by_hand.put_shop(warehouse)
            for _ in range(2):
                result = runs.run(instance, definitions, "klaviyo_models_job")
                failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
                with warehouse.session(writes=False) as session:
                    until = dt.date(2026, 4, 1)
                    figures = read_figures(session, MODELS, dt.date(2026, 1, 1), until, accounts=["klaviyo"])
                    assert session.views(MODELS) == set(), "they would keep Postgres from widening columns"
                lineage = {
                    key: {
                        column: sorted(map(str, deps))
                        for column, deps in values["dagster/column_lineage"].deps_by_column.items()
                    }
                    for key, values in runs.materializations(result).items()
                    if "dagster/column_lineage" in values
                }
                said.append((failed, figures, contents(warehouse), lineage))
                changed = [{**event, **by_hand.worth(7.25)} for event in by_hand.EVENTS if event["id"] == "e30"]
                by_hand.put(warehouse, "event", changed, by_hand.SYNCED + dt.timedelta(days=1))
                renamed = [{**campaign, "name": "Spring again"} for campaign in by_hand.CAMPAIGNS[:1]]
                by_hand.put(warehouse, "campaign", renamed, by_hand.SYNCED + dt.timedelta(days=1))
    for postgres, duckdb in zip(*seen, strict=True):
        assert postgres[0] == duckdb[0]
        assert postgres[1] == duckdb[1]
        for model in duckdb[2]:
            assert postgres[2][model] == duckdb[2][model], model
        assert postgres[3] == duckdb[3] and len(duckdb[3]) > 5
    assert seen[0][0][2] != seen[0][1][2], "there was news"

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
