"""The models in Dagster: what loads, what is watched, and when they are built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.models import assets
from klaviyo_assets.models.project import PROJECT, read_project
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table
from klaviyo_assets_tests.conftest import Project, only

READ = {
    "campaign": "id name created updated send_time status archived scheduled campaign_type email_template_id "
    "from_email from_name sent_at status_id status_label subject",
    "event": "id _variation campaign_id datetime flow_id flow_message_id metric_id person_id timestamp type uuid "
    "property_attribution property_value",
    "flow": "id name status created updated archived trigger_type",
    "metric": "id name created updated integration_id integration_name integration_category",
    "person": "id address_1 address_2 city country created email first_name last_name latitude longitude organization "
    "phone_number region timezone title updated zip last_event_date",
}
"""The tables and columns that dbt_klaviyo reads."""
TYPES = {
    **dict.fromkeys(("created", "updated", "send_time", "sent_at", "scheduled"), Type.TIMESTAMP),
    **dict.fromkeys(("datetime", "timestamp", "last_event_date"), Type.TIMESTAMP),
    "archived": Type.BOOLEAN,
    "property_value": Type.DOUBLE,
    "property_attribution": Type.JSON,
}
"""Columns that it calculates with; everything else is text to it."""


@pytest.mark.parametrize("name", READ)
def test_the_tables_have_what_dbt_klaviyo_reads(name: str) -> None:
    types = table(name).types
    assert {column: types.get(column) for column in READ[name].split()} == {
        column: TYPES.get(column, Type.TEXT) for column in READ[name].split()
    }


def spec_of(settings: Settings, *key: str) -> dg.AssetSpec:
    return next(spec for spec in build_definitions(settings).resolve_all_asset_specs() if spec.key.path == list(key))


def test_models_are_downstream_of_the_tables_that_they_read() -> None:
    events = spec_of(Settings(), "klaviyo_models", "klaviyo__events")
    tables = ("campaign", "event", "flow", "metric", "person")
    assert {dep.asset_key for dep in events.deps} == {dg.AssetKey(["klaviyo", name]) for name in tables}
    assert (events.group_name, events.kinds) == ("klaviyo_models", {"dbt", "duckdb"})
    assert "dagster/column_schema" not in events.metadata, "it would hide what each build says of the columns"
    campaigns = spec_of(Settings(), "klaviyo_models", "klaviyo__campaigns")
    assert {dep.asset_key.path[-1] for dep in campaigns.deps} == {"campaign", "klaviyo__person_campaign_flow"}
    growth = {dep.asset_key.path[-1] for dep in spec_of(Settings(), "klaviyo_models", "list_growth").deps}
    assert growth == {"klaviyo__events", "person", "list", "list_exclusion", "global_exclusion"}, "members are off"
    performance = spec_of(Settings(), "klaviyo_models", "message_performance").deps
    assert {dep.asset_key.path[-1] for dep in performance} == {
        "message_events", "order_credits", "campaign", "flow", "campaign_message", "flow_message",
    }  # fmt: skip
    few = Settings(name="shop_dk", tables=only("metric"), shopify_schema="shop")
    assert {dep.asset_key for dep in spec_of(few, "shop_dk_models", "klaviyo__events").deps} == {
        dg.AssetKey(["shop_dk", name]) for name in ("event", "person", "metric")
    }
    orders = spec_of(few, "shop_dk_models", "shopify_holistic_reporting__orders_attribution")
    assert dg.AssetKey(["shop", "order_line"]) in {dep.asset_key for dep in orders.deps}


def test_models_can_be_turned_off_and_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def models(settings: Settings) -> set[str]:
        keys = build_definitions(settings).resolve_asset_graph().get_all_asset_keys()
        return {key.path[-1] for key in keys if key.path[0] == "klaviyo_models"}

    usual = {model.name for model in read_project() if model.group != "shopify"}
    assert models(Settings()) == usual | {"campaign_report"}
    assert models(Settings(models=False)) == set()
    without_marts = {model.name for model in read_project() if model.group == "klaviyo"}
    assert models(Settings(model_variables={"klaviyo__marts": False})) == without_marts | {"campaign_report"}
    assert models(Settings(shopify_schema="shop")) == {model.name for model in read_project()} | {"campaign_report"}
    said: list[str] = []
    monkeypatch.setattr(assets, "is_installed", lambda kind: False)
    monkeypatch.setattr(assets.dg, "get_dagster_logger", lambda *_: type("Log", (), {"info": said.append}))
    assert models(Settings()) == set()
    assert "pip install 'klaviyo-assets[models]'" in said[0]


def test_loading_the_definitions_waits_for_no_dbt() -> None:
    code = (
        "import sys\nfrom klaviyo_assets.definitions import defs\n"
        "print({name.partition('.')[0] for name in sys.modules} & {'dbt', 'altair', 'vl_convert', 'sqlglot', 'agate'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_project_is_part_of_the_package() -> None:
    patterns = (PROJECT.parents[2] / "setup.cfg").read_text()
    assert "models/dbt/**" in patterns and "models/report/*.j2" in patterns


# When


def ticks(instance: dg.DagsterInstance, definitions: dg.Definitions) -> Iterator[dg.SensorResult | dg.SkipReason]:
    """What the sensor says, time after time, with its cursor kept."""
    sensor = definitions.resolve_sensor_def("klaviyo_models_sensor")
    cursor: str | None = None
    repository = definitions.get_repository_def()
    while True:
        with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository) as context:
            data = sensor.evaluate_tick(context)
        cursor = data.cursor
        yield data  # type: ignore[misc]


def test_a_sync_of_many_days_has_the_models_built_once(project: Callable[..., Project]) -> None:
    account = generate_account(events=200, profiles=20, days=4, seed=3)
    klaviyo = project(account, tables=only("metric", "campaign", "campaign_message"))
    sensor = ticks(klaviyo.instance, klaviyo.definitions)
    first = next(sensor)
    assert not first.run_requests and "no sync yet" in str(first.skip_message)  # type: ignore[union-attr]

    klaviyo.sync(-3)
    event = dg.AssetKey(["klaviyo", "event"])
    assert len(klaviyo.instance.get_materialized_partitions(event)) == 4
    (request,) = next(sensor).run_requests or ()  # type: ignore[union-attr]
    assert request.asset_selection is None, "the whole job"
    again = next(sensor)
    assert not again.run_requests and "No table has been written" in str(again.skip_message)  # type: ignore[union-attr]

    assert klaviyo.run("klaviyo_backfill", -2, -1).success
    waiting = klaviyo.instance.create_run_for_job(klaviyo.definitions.resolve_job_def("klaviyo_sync"))
    busy = next(sensor)
    assert not busy.run_requests and "klaviyo_sync has not ended" in str(busy.skip_message)  # type: ignore[union-attr]
    klaviyo.instance.report_run_canceled(waiting)
    assert len(next(sensor).run_requests or ()) == 1  # type: ignore[union-attr]
    assert not next(sensor).run_requests  # type: ignore[union-attr]


def test_dagsters_own_automation_builds_the_models_after_one_day_of_events(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(duckdb_path=str(tmp_path / "w.duckdb")))
    event = dg.AssetKey(["klaviyo", "event"])
    models = {model.name for model in read_project() if model.group != "shopify"}
    group = dg.AssetSelection.groups("klaviyo_models")
    with dg.DagsterInstance.ephemeral() as instance:
        ran = dg.evaluate_automation_conditions(definitions, instance, group)
        for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
            instance.report_runless_asset_event(dg.AssetMaterialization(event, partition=day))
        ran = dg.evaluate_automation_conditions(definitions, instance, group, cursor=ran.cursor)
        requested = {result.key.path[-1] for result in ran.results if result.true_subset.size}
        assert requested == models
        ran = dg.evaluate_automation_conditions(definitions, instance, group, cursor=ran.cursor)
        assert ran.total_requested == 0
