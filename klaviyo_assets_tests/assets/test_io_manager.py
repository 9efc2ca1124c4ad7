"""Reading tables back into downstream assets, and what Dagster gets to know about a load."""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.warehouse import spool
from klaviyo_assets_tests.conftest import Project, only

DAYS = 4


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    """An account with one event an hour in the last days, synced."""
    account = Account()
    now = account.clock.now()
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    account.add(Resource("metric", "Mtric1", {"name": "Tick", "created": stamp, "updated": stamp, "integration": None}))
    for hour in range(DAYS * 24):
        account.add_event("Mtric1", now - dt.timedelta(hours=hour), properties={"$value": hour})
    made = project(account, tables=only("metric"))
    made.sync(first=-DAYS)
    return made


def downstream(klaviyo: Project, partitioned: bool, annotation: Any, **range_: int) -> Any:
    """What a downstream asset with that annotation is given."""
    given: list[Any] = []
    (event,) = [d for d in klaviyo.definitions.assets or [] if dg.AssetKey(["klaviyo", "event"]) in d.keys]
    days = event.partitions_def

    def body(event: Any) -> None:
        given.append(event)

    body.__annotations__ = {"event": annotation, "return": None}
    copy = dg.asset(
        name="copy",
        ins={"event": dg.AssetIn(["klaviyo", "event"], input_manager_key="klaviyo_io_manager")},
        partitions_def=days if partitioned else None,
        backfill_policy=dg.BackfillPolicy.single_run() if partitioned else None,
    )(body)
    definitions = dg.Definitions([*(klaviyo.definitions.assets or []), copy], resources=klaviyo.definitions.resources)
    tags = {}
    if partitioned:
        tags = {
            "dagster/asset_partition_range_start": klaviyo.day(range_["first"]),
            "dagster/asset_partition_range_end": klaviyo.day(range_["last"]),
        }
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[copy.key], instance=klaviyo.instance, tags=tags
    )
    assert result.success
    return given[0]


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_downstream_asset_gets_its_own_days(klaviyo: Project) -> None:
    whole = downstream(klaviyo, False, pd.DataFrame)
    assert isinstance(whole, pd.DataFrame) and len(whole) == DAYS * 24
    assert whole["datetime"].dt.unit == "us"
    one_day = downstream(klaviyo, True, pa.Table, first=-2, last=-2)
    assert isinstance(one_day, pa.Table) and one_day.num_rows == 24
    two_days = downstream(klaviyo, True, Any, first=-3, last=-2)
    assert isinstance(two_days, pd.DataFrame) and len(two_days) == 48
    assert {str(day) for day in two_days["datetime"].dt.date} == {klaviyo.day(-3), klaviyo.day(-2)}


@pytest.mark.parametrize("wanted", [(-3, -1), (-3, -2, 0)])
def test_days_with_a_gap_between_them_are_read_without_it(klaviyo: Project, wanted: tuple[int, ...]) -> None:
    (event,) = [d for d in klaviyo.definitions.assets or [] if dg.AssetKey(["klaviyo", "event"]) in d.keys]
    assert isinstance(event, dg.AssetsDefinition) and event.partitions_def is not None
    days = [klaviyo.day(offset) for offset in wanted]
    given: list[pd.DataFrame] = []
    on_demand = dg.StaticPartitionsDefinition(["some"])

    @dg.asset(
        ins={
            "event": dg.AssetIn(
                ["klaviyo", "event"],
                input_manager_key="klaviyo_io_manager",
                partition_mapping=dg.SpecificPartitionsPartitionMapping(days),
            )
        },
        partitions_def=on_demand,
    )
    def some_days(event: pd.DataFrame) -> None:
        given.append(event)

    assets = [*(klaviyo.definitions.assets or []), some_days]
    definitions = dg.Definitions(assets, resources=klaviyo.definitions.resources)
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[some_days.key], instance=klaviyo.instance, partition_key="some"
    )
    assert result.success
    assert {str(day) for day in given[0]["datetime"].dt.date} == set(days)


def test_a_table_can_only_be_read_as_what_is_documented(klaviyo: Project) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match=r"pandas.DataFrame, pyarrow.Table, polars"):
        downstream(klaviyo, False, dict)


def test_a_load_describes_itself(klaviyo: Project) -> None:
    klaviyo.account.add_event("Mtric1", klaviyo.account.clock.now(), properties={"brand new": 1})
    result = klaviyo.sync()
    (event,) = [
        e.step_materialization_data.materialization.metadata
        for e in result.get_asset_materialization_events()
        if e.asset_key == dg.AssetKey(["klaviyo", "event"])
    ]
    values = {name: value.value for name, value in event.items()}
    assert values["dagster/row_count"] == DAYS * 24 + 1
    assert (values["rows_inserted"], values["rows_deleted"], values["new_columns"]) == (1, 0, ["property_brand_new"])
    assert values["rows_updated"] >= 3
    assert values["requests"] >= 2 and values["bytes_received"] > 1_000
    assert values["seconds_waited_for_rate_limits"] == 0
    started = klaviyo.warehouse.query("SELECT max(_fivetran_synced) FROM klaviyo.event")[0][0]
    assert abs((started - dt.datetime.now(dt.UTC).replace(tzinfo=None)).total_seconds()) < 60


def test_no_spool_is_left_behind(klaviyo: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = tmp_path / f"{spool._PREFIX}of_a_killed_process"
    abandoned.mkdir()
    (abandoned / ".lock").touch()
    (abandoned / "000000.parquet").write_bytes(b"rows")
    with spool.temporary_spool() as busy:
        klaviyo.sync()
        assert busy.folder.exists()
    klaviyo.account.keys.clear()
    assert not klaviyo.run("klaviyo_sync", 0).success
    assert list(tmp_path.glob(f"{spool._PREFIX}*")) == []


def test_each_partition_says_how_many_rows_it_has(klaviyo: Project) -> None:
    def told() -> dict[str | None, Any]:
        records = klaviyo.instance.fetch_materializations(dg.AssetKey(["klaviyo", "event"]), limit=DAYS + 1).records
        found = [record.asset_materialization for record in records]
        return {each.partition: each.metadata["dagster/partition_row_count"].value for each in found if each}

    times = [dt.datetime.fromtimestamp(event.occurred_at, dt.UTC) for event in klaviyo.account.events]
    assert {day: rows for day, rows in told().items() if rows} == Counter(time.date().isoformat() for time in times)

    klaviyo.account.add_event("Mtric1", dt.datetime(2001, 5, 1, tzinfo=dt.UTC))
    klaviyo.execute("klaviyo_backfill", {"dagster/partition": "2012-01-01"}, {}, [dg.AssetKey(["klaviyo", "event"])])
    assert told()["2012-01-01"] == 1, "the first partition stands for the days before"
