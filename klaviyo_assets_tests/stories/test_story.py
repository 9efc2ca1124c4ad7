"""Sync, change, sync, look: whole runs over HTTP, compared with what the sandbox holds."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.tables.registry import TABLES as ALL_TABLES
from klaviyo_assets.tables.registry import table
from klaviyo_assets_tests.conftest import Project, failures, narrowed, only, synced, without_campaigns
from klaviyo_assets_tests.expected import (
    MORE_TABLES,
    OPTIONAL_TABLES,
    TABLES,
    differences,
    person_with_predictions,
    stored,
)

DAYS = 12


def a_shop(now: dt.datetime | None = None) -> Account:
    return generate_account(events=400, profiles=60, days=DAYS, seed=7, now=now)


@dataclass
class Template:
    """A warehouse file that holds all of a shop."""

    file: Path
    made: dt.datetime


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    made = Template(tmp_path_factory.mktemp("synced") / "warehouse.duckdb", dt.datetime.now(dt.UTC))
    synced(made.file, a_shop(made.made), DAYS, tables=only(*TABLES))
    return made


@pytest.fixture
def klaviyo(project: Callable[..., Project], template: Template, tmp_path: Path) -> Callable[..., Project]:
    """Make a project in which all of a shop has been synced already: `klaviyo(*tables)`."""

    def make(*tables: str) -> Project:
        shutil.copy(template.file, tmp_path)
        account = a_shop(template.made)
        account.clock.set(dt.datetime.now(dt.UTC))
        return project(account, tables=only(*tables))

    return make


def everything(project: Project) -> dict[str, dict[Any, dict[str, Any]]]:
    """Every row of every table, without the time of its sync."""
    return {
        name: {
            tuple(row[key] for key in table(name).primary_key): {
                column: value for column, value in row.items() if column != "_fivetran_synced"
            }
            for row in stored(project.warehouse, name)
        }
        for name in TABLES
    }


def test_a_sync_a_change_and_a_sync(klaviyo: Callable[..., Project]) -> None:
    shop = klaviyo(*TABLES)
    account = shop.account
    assert shop.differences() == []
    before = everything(shop)

    campaigns = [c for c in account.all("campaign") if c.attributes["status"] == "Sent"]
    gone = [c.id for c in campaigns if not c.attributes["archived"]][:2]
    copies = [
        t
        for c in gone
        for m in account.related("campaign", c, "campaign-messages")
        for t in account.related("campaign-message", m, "template")
    ]
    messages = [m for c in gone for m in account.related("campaign", c, "campaign-messages")]
    archived = next(c.id for c in campaigns if not c.attributes["archived"] and c.id not in gone)
    brought_back = next(c.id for c in campaigns if c.attributes["archived"])
    for campaign in gone:
        account.delete("campaign", campaign)
    assert copies and not any(account.get("template", copy) for copy in copies)
    account.archive("campaign", archived)
    account.unarchive("campaign", brought_back)
    metric = next(m.id for m in account.all("metric") if m.attributes["name"] == "Clicked Email")
    account.rename("metric", metric, "Clicked an Email")
    profile = account.all("profile")[5].id
    account.update("profile", profile, first_name="Renée", properties={"Loyalty Tier": "gold", "points": 12.5})
    now = account.clock.now()
    late = [
        account.add_event(metric, now - dt.timedelta(hours=2, minutes=30), profile_id=profile, properties={"n": n})
        for n in range(40)
    ]
    future = account.add_event(metric, now + dt.timedelta(days=3), profile_id=profile, properties={"n": "later"})
    shop.sync()
    shop.refresh()

    assert shop.differences() == []
    after = everything(shop)
    deleted = {name: {key for key, row in rows.items() if row["_fivetran_deleted"]} for name, rows in after.items()}
    assert deleted["campaign"] == {(id,) for id in gone}
    assert deleted["campaign_message"] == {(id,) for id in messages}
    assert deleted["campaign_list"] == {key for key in before["campaign_list"] if key[0] in gone}
    assert not deleted["event"] and not deleted["person"] and not deleted["metric"]
    assert {(event.id,) for event in [*late, future]} == after["event"].keys() - before["event"].keys()
    state = shop.warehouse.state("event")
    assert state is not None and state.synced_through is not None and state.synced_through <= now

    touched = {
        "campaign": {(id,) for id in (*gone, archived, brought_back)},
        "person": {(profile,)},
        "metric": {(metric,)},
        "event": {key for key, row in before["event"].items() if row["metric_id"] == metric},
        **{name: deleted[name] for name in before if name.startswith("campaign_")},
    }
    for name, rows in before.items():
        changed = {key for key, row in rows.items() if {**row, **after[name][key]} != row}
        changed -= {key for key in changed if lacks_only_new_columns(rows[key], after[name][key])}
        assert changed <= touched.get(name, set()), name


def lacks_only_new_columns(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return all(after[column] == value for column, value in before.items()) and all(
        after[column] is None for column in after.keys() - before.keys()
    )


def test_running_anything_twice_changes_nothing(klaviyo: Callable[..., Project]) -> None:
    shop = klaviyo(*TABLES)
    before = everything(shop)
    assert shop.run("klaviyo_backfill", -5, -3).success
    assert shop.run("klaviyo_backfill", -2, 0).success
    shop.sync()
    shop.refresh()
    assert everything(shop) == before


def test_a_sync_reads_only_what_is_new_and_due(klaviyo: Callable[..., Project]) -> None:
    shop = klaviyo(*TABLES)
    shop.sync(first=-DAYS)
    counts = shop.sandbox.requests.counts()
    assert counts["get_events"] <= 3 and counts["get_profiles"] <= 3
    assert (counts["get_campaigns"], counts["get_campaign_messages"]) == (2, 1), "whether they have changed"


def test_a_sync_without_a_range_continues_from_the_watermark(klaviyo: Callable[..., Project]) -> None:
    shop = klaviyo("metric")
    metric = shop.account.all("metric")[0].id
    new = shop.account.add_event(metric, shop.account.clock.now(), properties={"n": 1})
    assert shop.run("klaviyo_sync").success
    assert new.id in {row["id"] for row in stored(shop.warehouse, "event")}
    assert shop.differences("event", "person", "metric") == []


def test_history_is_read_newest_first_in_pieces(project: Callable[..., Project]) -> None:
    klaviyo = project(narrowed(without_campaigns(a_shop())), tables=only())
    klaviyo.sync(first=-1)
    for last in range(-2, -DAYS - 3, -3):
        assert klaviyo.run("klaviyo_backfill", last - 2, last).success
    assert klaviyo.differences("event", "person") == []
    state = klaviyo.warehouse.state("event")
    assert state is not None and state.synced_from is not None
    assert state.synced_from.date().isoformat() <= klaviyo.day(-DAYS)


# Nothing a property can be breaks a row

NASTY: list[dict[str, Any]] = [
    {'"); drop table event; --': "x", "": "empty name", "n" * 300: 1, "😀": "emoji", "Ünï cödé": True},
    {"Value": 1, "value": 2, "VALUE": 3, "$value": 4, "va lue": 5},
    *[
        {"by turns": value}
        for value in (1, "text", [1, {"a": None}], {"b": [2]}, None, True, 1.5, "2026-01-01T00:00:00Z")
    ],
    {"big": 2**70, "small": 1e-7, "long": "x" * 100_000, "zero": -0.0, "half": "\U0001f600"},
    {"$value": "1,258.54"},
    {"$value": "not a number", "property_value_text": "taken"},
    {"select": 1, "id": "not the id", "datetime": "yesterday", "_fivetran_deleted": True},
]


def test_every_nasty_property_lands_and_comes_back(project: Callable[..., Project]) -> None:
    account = Account()
    now = account.clock.now()
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    account.add(Resource("metric", "Mtric1", {"name": "Odd", "created": stamp, "updated": stamp, "integration": None}))
    for number, properties in enumerate(NASTY):
        account.add_event("Mtric1", now - dt.timedelta(hours=1, seconds=number), properties=properties)
        account.add(
            Resource(
                "profile",
                f"01J{number:023d}",
                {
                    "email": None,
                    "created": stamp,
                    "updated": stamp,
                    "location": {},
                    "properties": properties,
                    "subscriptions": never_subscribed(),
                },
            )
        )
    klaviyo = project(account, tables=only())
    klaviyo.sync(first=-1)
    assert klaviyo.differences("event", "person") == []
    assert len(stored(klaviyo.warehouse, "event")) == len(NASTY)
    row = next(r for r in stored(klaviyo.warehouse, "event") if r["property_big"] is not None)
    assert row["property_big"] == str(2**70)
    assert (row["property_small"], row["property_long"]) == (1e-7, "x" * 100_000)
    values = {r["property_value"] for r in stored(klaviyo.warehouse, "event")}
    assert values == {None, 4.0, 1258.54}


def test_a_full_refresh_holds_everything_that_klaviyo_has(project: Callable[..., Project]) -> None:
    """Every table there is, optional ones included, against the sandbox's objects."""
    on = {table.name: not table.name.endswith("_report") for table in ALL_TABLES}
    klaviyo = project(a_shop(), tables=on, memberships="weekly", predictive_analytics="weekly")
    klaviyo.sandbox.unsorted_archive = klaviyo.sandbox.loose_bounds = True  # as Klaviyo has been seen to be
    assert klaviyo.run("klaviyo_backfill", -DAYS).success
    result = klaviyo.refresh()
    checks = {(c.asset_key.path[-1], c.check_name): c for c in result.get_asset_check_evaluations()}
    assert [key for key, check in checks.items() if not check.passed] == []
    checked = {name for name, check in checks if check == "integrity"}
    partitioned = {"event", "person", "global_exclusion", "list_exclusion"}
    assert checked == {name for name, enabled in on.items() if enabled} - partitioned
    assert klaviyo.differences(*(TABLES | MORE_TABLES | OPTIONAL_TABLES).keys() - {"person"}) == []
    persons = differences(klaviyo.account, klaviyo.warehouse, "person", ("id",), person_with_predictions)
    assert persons == []
    created = {
        row[0]
        for row in klaviyo.warehouse.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'klaviyo'")
    }
    assert {name for name in created if name[0] != "_"} == {name for name, enabled in on.items() if enabled}


# What stops a run


def test_of_a_suspicious_snapshot_the_rows_land_and_the_flags_wait(
    klaviyo: Callable[..., Project],
) -> None:
    shop = klaviyo("campaign", "metric")
    before = everything(shop)["campaign"]
    kept, *others = shop.account.all("campaign")
    for campaign in others:
        shop.account.delete("campaign", campaign.id)
    shop.account.rename("campaign", kept.id, "Renamed")
    result = shop.refresh()
    failed = {
        (check.check_name, check.asset_key.to_user_string())
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }
    assert {("not_suspiciously_small", "klaviyo_staging/campaign"), ("integrity", "klaviyo/campaign")} <= failed
    assert ("integrity", "klaviyo/metric") not in failed
    after = everything(shop)["campaign"]
    assert after.pop((kept.id,))["name"] == "Renamed"
    assert after == {key: row for key, row in before.items() if key != (kept.id,)}

    ops = {"ops": {"klaviyo__campaign": {"config": {"accept_shrink": True}}}}
    assert shop.run("klaviyo_full_refresh", config=ops, only=["klaviyo", "campaign"]).success
    assert shop.differences("campaign") == []
    check = next(
        check
        for check in shop.refresh().get_asset_check_evaluations()
        if (check.check_name, check.asset_key.path[-1]) == ("not_suspiciously_small", "campaign")
    )
    assert check.passed


def test_a_missing_scope_skips_its_tables_or_fails_them(project: Callable[..., Project]) -> None:
    account = a_shop()
    tables = only("metric", "integration", "campaign", "campaign_tag", "flow", "global_exclusion")
    account.keys["pk_sandbox"] = frozenset({"events:read", "profiles:read", "metrics:read", "accounts:read"})
    klaviyo = project(account, tables=tables)
    klaviyo.sync(first=-DAYS)
    assert klaviyo.differences("person", "metric", "integration") == []
    assert klaviyo.warehouse.rows("campaign", ["id"]) == []
    strict = project(account, missing_scope="fail", tables=tables)
    result = strict.run("klaviyo_full_refresh")
    assert not result.success
    messages = [str(e.step_failure_data.error) for e in result.all_events if e.is_step_failure]
    assert any("campaigns:read" in message and "`missing_scope: fail` has it fail" in message for message in messages)


def test_without_a_key_the_run_says_what_to_set(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo = project(a_shop(), tables=only(*TABLES))
    monkeypatch.delenv("KLAVIYO_API_KEY")
    result = klaviyo.run("klaviyo_sync", 0)
    assert not result.success
    (message,) = failures(result)
    assert "KLAVIYO_API_KEY" in message
    assert not klaviyo.sandbox.requests.counts()
