"""Several Klaviyo accounts in one code location, each served by a sandbox of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.conftest import QUIET, failures, only
from klaviyo_assets_tests.expected import differences

TABLES = ("event", "person", "metric", "list")
DAYS = 3


@dataclass
class Shop:
    settings: Settings
    sandbox: Sandbox

    def differences(self) -> list[str]:
        warehouse = DuckDBWarehouse(database=self.settings.duckdb_path, schema_name=self.settings.schema_name)
        return [
            problem
            for name in TABLES
            for problem in differences(self.sandbox.account, warehouse, name, table(name).primary_key)
        ]


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Shop]]:
    """Two accounts with different contents and keys, in one DuckDB file."""
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)
    made = []
    with ExitStack() as stack:
        for seed, name in enumerate(("shop_dk", "shop_se"), 1):
            account = generate_account(events=150 * seed, profiles=30, days=DAYS, seed=seed)
            account.keys = {f"pk_{name}": None}
            monkeypatch.setenv(f"KEY_{name.upper()}", f"pk_{name}")
            sandbox = stack.enter_context(Sandbox(account))
            given: dict[str, Any] = {"name": name, "schema": name, "api_key_variable": f"KEY_{name.upper()}"}
            settings = Settings(
                **given,
                api_url=sandbox.url,
                duckdb_path=str(tmp_path / "both.duckdb"),
                tables=only("metric", "list", "campaign_message"),
            )
            made.append(Shop(settings, sandbox))
        yield made


def days(shop: Shop) -> dict[str, str]:
    now = shop.sandbox.account.clock.now()
    first = now.date().fromordinal(now.date().toordinal() - DAYS)
    return {RANGE_START: first.isoformat(), RANGE_END: now.date().isoformat()}


def run(definitions: dg.Definitions, job: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
        )
    assert result.success, failures(result)
    return result


def test_names_carry_the_account(shops: list[Shop]) -> None:
    definitions = build_definitions(*(shop.settings for shop in shops))
    dg.Definitions.validate_loadable(definitions)
    names = {job.name for job in definitions.resolve_all_job_defs()} - {"__ASSET_JOB"}
    names |= {each.name for each in (*(definitions.schedules or ()), *(definitions.sensors or ()))}
    names |= set(definitions.resources or ()) | {
        key.path[0] for key in definitions.resolve_asset_graph().get_all_asset_keys()
    }
    prefixes = tuple(shop.settings.name for shop in shops)
    assert [name for name in names if not name.startswith(prefixes)] == []
    groups = {spec.group_name for spec in definitions.resolve_all_asset_specs()}
    assert groups == {f"{prefix}_{group}" for prefix in prefixes for group in ("core", "tables", "snapshots", "models")}


def test_both_at_once_and_both_in_one_run(shops: list[Shop]) -> None:
    accounts = build_definitions(*(shop.settings for shop in shops))
    models = dg.AssetSelection.groups(*(f"{shop.settings.name}_models" for shop in shops))
    both = dg.define_asset_job("both", dg.AssetSelection.all() - models)
    definitions = dg.Definitions.merge(accounts, dg.Definitions(jobs=[both]))
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(run, definitions, f"{shop.settings.name}_sync", days(shop)) for shop in shops]
        assert [done.result().success for done in runs] == [True, True]
    assert [shop.differences() for shop in shops] == [[], []]

    for shop in shops:
        account = shop.sandbox.account
        account.rename("list", account.all("list")[0].id, f"Everybody at {shop.settings.name}")
        shop.sandbox.requests.clear()
    run(definitions, "both", days(shops[0]))
    assert [shop.differences() for shop in shops] == [[], []]
    assert all(shop.sandbox.requests.of("get_lists") for shop in shops), "each from its own API, with its own key"


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ({"schema": "a"}, {"schema": "b"}, "have the name klaviyo"),
        ({"name": "a"}, {"name": "b"}, "a and b would both write to the schema klaviyo of .*data/warehouse.duckdb"),
        (
            {"name": "a", "schema": "X"},
            {"name": "b", "schema": "x", "duckdb_path": "./data/warehouse.duckdb"},
            "schema x",
        ),
        ({"name": "a", "schema": "x"}, {"name": "b", "schema": "x_staging"}, "schema x_staging"),
    ],
)
def test_accounts_that_would_mix_are_refused(first: dict[str, Any], second: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        build_definitions(Settings(**first), Settings(**second))


def test_a_schema_may_be_there_in_two_files() -> None:
    first, second = ({"name": name, "duckdb_path": f"{name}.duckdb"} for name in ("a", "b"))
    dg.Definitions.validate_loadable(build_definitions(Settings(**first), Settings(**second)))
