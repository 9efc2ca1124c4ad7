"""How properties are laid out, and which events are wanted: `packing`, `new_columns`, `only_active_profiles`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import dagster as dg

from klaviyo_assets.assets.reconciliation import RANGES
from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.privacy.accounts import BIG, PEOPLE, person_id, small_account


def by_id(klaviyo: Project, table: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in stored(klaviyo.warehouse, table)}


def test_changing_the_packing_loses_nothing(project: Callable[..., Project]) -> None:
    account = small_account()
    metric, now = account.all("metric")[0].id, account.clock.now()
    numeric = account.add_event(
        metric, now - dt.timedelta(hours=1), properties={"$value": "1,258.54", "$flow": "F", "$attribution": {"a": 1}}
    ).id
    properties = {event.id: event.properties for event in account.events}
    unpacked = project(account, tables=only())
    assert unpacked.run("klaviyo_backfill", -1).success
    before = by_id(unpacked, "event")

    packed = project(account, tables=only(), packing="packed")
    assert packed.run("klaviyo_backfill", -1).success
    events = by_id(packed, "event")
    for id, event in events.items():
        wanted = {name: value for name, value in properties[id].items() if name != "$flow"}
        assert json.loads(event["custom_property_fields"]) == wanted, "numbers of any size included"
        assert {name: event[name] for name in before[id] if name != "_fivetran_synced"} == {
            name: value for name, value in before[id].items() if name != "_fivetran_synced"
        }
    assert f'"big":{BIG}' in "".join(event["custom_property_fields"] for event in events.values())
    assert (events[numeric]["property_value"], events[numeric]["property_value_text"]) == (1258.54, None)
    assert json.loads(events[numeric]["property_attribution"]) == {"a": 1} and events[numeric]["flow_id"] == "F"
    texts = {event["property_value_text"] for event in events.values()}
    assert texts == {None, *(f"RAWvalue{n}" for n in range(PEOPLE))}
    people = by_id(packed, "person")
    for profile in account.all("profile"):
        assert json.loads(people[profile.id]["custom_fields"]) == profile.attributes["properties"]

    # New properties are no new columns any more, and back again everything is in columns.
    late = account.add_event(metric, now - dt.timedelta(minutes=5), properties={"brand new": 1, "Kept": "late"}).id
    assert packed.run("klaviyo_backfill", 0).success
    assert "property_brand_new" not in by_id(packed, "event")[late]
    assert by_id(packed, "event")[late]["custom_property_fields"] == '{"brand new":1,"Kept":"late"}'
    again = project(account, tables=only())
    assert again.run("klaviyo_backfill", -1, 0).success
    event = by_id(again, "event")[late]
    assert (event["property_brand_new"], event["property_kept"]) == (1, "late")
    assert again.differences("person") == []
    for id, row in before.items():
        found = by_id(again, "event")[id]
        assert {n: found[n] for n in row if n != "_fivetran_synced"} == {
            n: v for n, v in row.items() if n != "_fivetran_synced"
        }


def test_columns_that_are_left_out_are_named(project: Callable[..., Project]) -> None:
    account = small_account()
    klaviyo = project(account, tables=only(), new_columns="block_all")
    assert klaviyo.run("klaviyo_backfill", -1).success
    assert by_id(klaviyo, "person")[person_id(0)]["custom_loyalty"] == "KEPTloyalty0"
    metric = account.all("metric")[0].id
    late = account.add_event(metric, account.clock.now(), properties={"brand new": 1, "Kept": "late"}).id
    result = klaviyo.run("klaviyo_backfill", 0)
    found = {
        event.step_materialization_data.materialization.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }
    assert found["event"]["columns_left_out"] == ["property_brand_new"]
    assert "columns_left_out" not in found["person"]
    event = by_id(klaviyo, "event")[late]
    assert event["property_kept"] == "late" and "property_brand_new" not in event


def test_only_events_of_active_profiles(project: Callable[..., Project]) -> None:
    account = small_account()
    metric, now = account.all("metric")[0].id, account.clock.now()
    noon = now.replace(hour=12, minute=0, second=0) - dt.timedelta(days=4)
    own = {
        n: {account.add_event(metric, noon + dt.timedelta(minutes=m), profile_id=person_id(n)).id for m in range(9)}
        for n in range(2)
    }
    account.delete("profile", person_id(0))
    klaviyo = project(account, tables=only("metric"), only_active_profiles=True, reread_days=1)
    assert klaviyo.run("klaviyo_backfill", -6).success
    assert {row["person_id"] for row in stored(klaviyo.warehouse, "event")} == {person_id(n) for n in range(1, PEOPLE)}
    assert not own[0] & by_id(klaviyo, "event").keys() and own[1] <= by_id(klaviyo, "event").keys()

    # A profile that goes takes its events along, as soon as their days are read again.
    account.delete("profile", person_id(1))
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    assert {id for id, row in by_id(klaviyo, "event").items() if row["_fivetran_deleted"]} == own[1]

    # Klaviyo's own numbers count them: the difference is shown, and nothing is read again because of it.
    result = klaviyo.run("klaviyo_sync", 0, config={
        "ops": {"klaviyo__event_reconciliation": {"config": {"only_due": False}}}
    })  # fmt: skip
    assert result.success
    (compared,) = klaviyo.instance.fetch_materializations(
        dg.AssetKey(["klaviyo", "event_reconciliation"]), limit=1
    ).records
    materialization = compared.asset_materialization
    assert materialization is not None
    shown = {name: value.value for name, value in materialization.metadata.items()}
    # Just after midnight the other events of the two profiles are of a day that is over as well.
    assert shown["days_that_differ"] in (1, 2) and "| 18 | 0 |" in str(shown["differences"])
    assert shown[RANGES] == [] and "RAW metric name" in str(shown["differences"])

    # Where a metric's name is hidden, its id is shown.
    klaviyo = project(
        account, tables=only("metric"), only_active_profiles=True, reread_days=1, blocked_columns={"metric": ["name"]}
    )
    assert klaviyo.run("klaviyo_sync", 0, config={
        "ops": {"klaviyo__event_reconciliation": {"config": {"only_due": False}}}
    }).success  # fmt: skip
    (compared,) = klaviyo.instance.fetch_materializations(
        dg.AssetKey(["klaviyo", "event_reconciliation"]), limit=1
    ).records
    assert compared.asset_materialization is not None
    told = str(compared.asset_materialization.metadata["differences"].value)
    assert "RAW metric name" not in told and "Mtric1" in told
