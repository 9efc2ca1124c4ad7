"""The code of docs/downstream.md, as a module of the user's, on a warehouse that the sandbox has filled."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_file

from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import QUIET, Project, only
from klaviyo_assets_tests.documents import DOCUMENTS, README, blocks, modules
from klaviyo_assets_tests.expected import stored

pytestmark = pytest.mark.filterwarnings("ignore:.*(backfill_policy|include_sources):dagster.BetaWarning")

PAGE = DOCUMENTS / "downstream.md"
DAYS = 3
EVENT = dg.AssetKey(["klaviyo", "event"])


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    account = generate_account(events=200, profiles=30, days=DAYS, seed=2)
    return project(account, tables=only("metric"))


@pytest.fixture
def page(klaviyo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's code as a file of the user's, whose settings are in the environment, loaded as Dagster loads it."""
    for name in ("api_url", "duckdb_path", "tables"):
        value = getattr(klaviyo.settings, name)
        monkeypatch.setenv(f"KLAVIYO_{name.upper()}", value if isinstance(value, str) else json.dumps(value))
    (code,) = modules(PAGE)
    file = tmp_path / "downstream.py"
    file.write_text(code)
    (target,) = loadable_targets_from_python_file(str(file))
    assert target.attribute == "defs"
    return sys.modules["downstream"]


def conditions(page: Any, klaviyo: Project, cursor: Any = None) -> Any:
    return dg.evaluate_automation_conditions(page.defs, klaviyo.instance, cursor=cursor)


def sense(page: Any, klaviyo: Project, cursor: str | None) -> tuple[list[str | None], str | None]:
    """Let the sensor look; returns the keys of the runs that it asks for."""
    context = dg.build_sensor_context(instance=klaviyo.instance, cursor=cursor, definitions=page.defs)
    answer = page.after_events.evaluate_tick(context)
    return [request.run_key for request in answer.run_requests or ()], answer.cursor


def test_downstream_runs_once_after_each_sync(page: Any, klaviyo: Project) -> None:
    dg.Definitions.validate_loadable(page.defs)
    assert sense(page, klaviyo, None)[0] == []
    ticked = conditions(page, klaviyo)

    first = klaviyo.sync(first=-DAYS)
    assert len(klaviyo.instance.get_materialized_partitions(EVENT)) == DAYS + 1
    keys, cursor = sense(page, klaviyo, None)
    assert keys == [first.run_id], "four days, one run"
    assert sense(page, klaviyo, cursor)[0] == []
    report = dg.AssetKey("daily_report")
    ticked = conditions(page, klaviyo, ticked.cursor)
    assert ticked.get_num_requested(report) == 1
    assert ticked.get_num_requested(dg.AssetKey("revenue")) == 0, "it has no condition"
    ticked = conditions(page, klaviyo, ticked.cursor)
    assert ticked.get_num_requested(report) == 0

    dg.materialize([page.defs.resolve_assets_def("daily_report")], instance=klaviyo.instance, run_config=QUIET)
    ticked = conditions(page, klaviyo, ticked.cursor)
    second = klaviyo.sync()
    assert sense(page, klaviyo, cursor)[0] == [second.run_id]
    assert conditions(page, klaviyo, ticked.cursor).get_num_requested(report) == 1


def test_assets_read_what_the_page_says(page: Any, klaviyo: Project) -> None:
    klaviyo.sync(first=-DAYS)
    events = stored(klaviyo.warehouse, "event")

    def figure(job: str, asset: str, **launch: Any) -> float:
        selected = dg.define_asset_job(job, dg.AssetSelection.assets(asset))
        resolved = dg.Definitions.merge(page.defs, dg.Definitions(jobs=[selected])).resolve_job_def(job)
        result = resolved.execute_in_process(instance=klaviyo.instance, run_config=QUIET, **launch)
        (materialization,) = result.asset_materializations_for_node(asset)
        return next(iter(v.value for k, v in materialization.metadata.items() if k in ("events", "revenue")))

    day = klaviyo.day(-1)
    of_day = [e for e in events if e["datetime"].date() == dt.date.fromisoformat(day)]
    assert 0 < len(of_day) < len(events)
    assert figure("one_day", "events_by_type", partition_key=day) == len(of_day)
    orders = sum(e["property_value"] or 0 for e in events if e["type"] == "Placed Order")
    assert orders > 0
    assert figure("all_days", "revenue") == pytest.approx(orders)
    for document in (README, DOCUMENTS / "production.md"):
        (statement,) = blocks(document, "sql")
        assert klaviyo.warehouse.query(statement), document.name


def test_eager_alone_would_never_fire(klaviyo: Project) -> None:
    """The trap that the page warns of; if Dagster changes this, the page has to."""
    mapping = dg.AssetDep(EVENT, partition_mapping=dg.AllPartitionMapping())
    plain = dg.asset(name="plain", deps=[mapping], automation_condition=dg.AutomationCondition.eager())(lambda: None)
    page = SimpleNamespace(defs=dg.Definitions.merge(klaviyo.definitions, dg.Definitions(assets=[plain])))
    cursor = conditions(page, klaviyo).cursor
    klaviyo.sync()
    assert conditions(page, klaviyo, cursor).get_num_requested(dg.AssetKey("plain")) == 0


def test_the_dbt_source_is_yaml_with_the_names_of_tables(klaviyo: Project) -> None:
    (text,) = blocks(PAGE, "yaml")
    (source,) = yaml.safe_load(text)["sources"]
    keys = {tuple(key.path) for key in klaviyo.definitions.resolve_asset_graph().get_all_asset_keys()}
    assert {tuple(table["meta"]["dagster"]["asset_key"]) for table in source["tables"]} <= keys
