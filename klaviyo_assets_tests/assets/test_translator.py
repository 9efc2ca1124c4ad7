"""A project decides what the assets are called; everything that goes by their keys goes on working."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import dagster as dg
import pandas as pd
import pytest

from klaviyo_assets import DagsterKlaviyoTranslator, KlaviyoAssetProps, build_definitions, build_klaviyo_asset_specs
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.automation.daemon import Daemon
from klaviyo_assets_tests.conftest import Project, failures, only, without_campaigns

UPSTREAM = dg.AssetKey("the_shop")


class Renamed(DagsterKlaviyoTranslator):
    """Keys of one part, of which none is a table's name."""

    def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
        spec = super().get_asset_spec(props)
        renamed = spec.replace_attributes(
            key=f"{props.settings.name}_{props.kind}_{props.name}",
            group_name=f"all_of_{props.settings.name}",
            owners=["team:growth"],
            description=f"Ours: {spec.description}",
            metadata={"tier": 1},
            kinds={"crm"},
            skippable=False,
            deps=[UPSTREAM],
        )
        return renamed.merge_attributes(tags={"source": "klaviyo"})


def keys(*names: str) -> set[dg.AssetKey]:
    return {dg.AssetKey(f"klaviyo_{name}") for name in names}


def test_every_asset_is_what_the_translator_says() -> None:
    """With all that there is: memberships, passes, models."""
    settings = Settings(memberships="weekly", predictive_analytics="weekly", shopify_schema="shopify")
    plain = build_definitions(settings)
    definitions = build_definitions(settings, translator=Renamed())
    dg.Definitions.validate_loadable(definitions)
    ours, theirs = definitions.resolve_asset_graph(), plain.resolve_asset_graph()
    specs = [ours.get(key).to_asset_spec() for key in ours.materializable_asset_keys]
    assert len(specs) == len(theirs.materializable_asset_keys)
    kinds = {spec.key.to_user_string().split("_")[1] for spec in specs}
    assert kinds == {"table", "snapshot", "pass", "progress", "model", "report"}
    for spec in specs:
        assert len(spec.key.path) == 1, spec.key
        assert (spec.group_name, spec.owners, spec.kinds) == ("all_of_klaviyo", ["team:growth"], {"crm"}), spec.key
        assert spec.description and spec.description.startswith("Ours: "), spec.key
        assert (spec.tags["source"], spec.metadata["tier"]) == ("klaviyo", 1), spec.key
        assert UPSTREAM in ours.get(spec.key).parent_keys, spec.key
    others = {key for key in theirs.get_all_asset_keys() if key.path[0] == "shopify"}
    assert others and ours.get_all_asset_keys() == {spec.key for spec in specs} | {UPSTREAM} | others
    edges = sum(len(ours.get(spec.key).parent_keys - {UPSTREAM}) for spec in specs)
    assert edges == sum(len(theirs.get(key).parent_keys) for key in theirs.materializable_asset_keys)
    skippable = [
        sum(graph.get(key).to_asset_spec().skippable for key in graph.materializable_asset_keys)
        for graph in (ours, theirs)
    ]
    assert skippable[0] == skippable[1] > 0, "steps of what is not due come to nothing"
    assert len(ours.asset_check_keys) == len(theirs.asset_check_keys)


def test_runs_checks_schedules_sensors_and_readers_go_by_the_keys(project: Callable[..., Project]) -> None:
    klaviyo = project(
        without_campaigns(generate_account(events=90, profiles=20, days=30, seed=4)), tables=only("metric", "list")
    )
    klaviyo.definitions = build_definitions(
        klaviyo.settings, translator=Renamed(), clock=lambda: dt.datetime.now(dt.UTC) + klaviyo.ahead
    )
    daemon = Daemon(klaviyo)
    first = daemon.sync()
    assert first.asset_selection is None
    materialized = set(klaviyo.instance.get_asset_keys())
    assert materialized >= keys("table_event", "table_person", "table_list", "snapshot_list", "progress_history")
    assert {key for key in materialized if len(key.path) > 1} == set()
    assert klaviyo.differences("metric", "list") == []

    ran = daemon.sense()
    assert not isinstance(ran, str), ran
    request, result = ran
    assert set(request.asset_selection or ()) == keys("table_event", "table_person", "progress_history")
    assert result.success, failures(result)
    daemon.backfill()
    assert klaviyo.differences("event", "person") == []

    second = daemon.sync()
    left_out = keys("pass_person_deletes")
    assert second.asset_selection and not left_out & set(second.asset_selection), "it is due in a week"

    result = klaviyo.run("klaviyo_full_refresh")
    assert result.success, failures(result)
    checked = {evaluation.asset_key: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert checked == dict.fromkeys(keys("snapshot_list", "snapshot_metric", "table_list", "table_metric"), True)

    klaviyo.account.update("list", klaviyo.account.all("list")[0].id, name="Renamed")
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo_snapshot_list"]).success
    given: dict[str, pd.DataFrame] = {}

    def reader(name: str, key: str) -> dg.AssetsDefinition:
        @dg.asset(name=name, ins={"rows": dg.AssetIn(key, input_manager_key="klaviyo_io_manager")})
        def read(rows: pd.DataFrame) -> None:
            given[name] = rows

        return read

    readers = [reader("lists", "klaviyo_table_list"), reader("staged", "klaviyo_snapshot_list")]
    read = dg.Definitions.merge(klaviyo.definitions, dg.Definitions(readers)).resolve_implicit_global_asset_job_def()
    assert read.execute_in_process(asset_selection=[each.key for each in readers], instance=klaviyo.instance).success
    assert ["Renamed" in set(given[name]["list_name"]) for name in ("lists", "staged")] == [False, True]
    # Another code location knows the tables only, and may read them.
    apart = dg.Definitions(
        [*build_klaviyo_asset_specs(klaviyo.settings, Renamed()), readers[0]], resources=klaviyo.definitions.resources
    )
    given.clear()
    assert apart.resolve_implicit_global_asset_job_def().execute_in_process(instance=klaviyo.instance).success
    assert len(given["lists"]) == len(klaviyo.account.all("list"))


def test_specs_of_the_tables_are_those_of_the_assets() -> None:
    settings = Settings(name="shop", schema="shop", tables={"image": True, "form": False})
    graph = build_definitions(settings, translator=Renamed()).resolve_asset_graph()
    specs = build_klaviyo_asset_specs(settings, Renamed())
    tables = {key for key in graph.get_all_asset_keys() if key.path[0].startswith("shop_table_")}
    assert {spec.key for spec in specs} == tables
    for spec in specs:
        assert spec.metadata == graph.get(spec.key).metadata
        assert spec.partitions_def == graph.get(spec.key).partitions_def and not spec.deps
    dg.Definitions.validate_loadable(dg.Definitions(specs))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec.replace_attributes(key="same"), r"the same key same: each asset needs one of its own"),
        (
            lambda spec: spec.replace_attributes(partitions_def=dg.StaticPartitionsDefinition(["a"])),
            r"partitions\. They can't be chosen",
        ),
        (lambda spec: None, r"has to return a dagster\.AssetSpec for the table event, not None"),
    ],
    ids=["key", "partitions", "nothing"],
)
def test_what_assets_cannot_have_is_said(change: Callable[[dg.AssetSpec], dg.AssetSpec], says: str) -> None:
    class Wrong(DagsterKlaviyoTranslator):
        def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
            return change(props.spec)

    with pytest.raises(ValueError, match=rf"Wrong\.get_asset_spec of the account klaviyo .*{says}"):
        build_definitions(Settings(), translator=Wrong())
