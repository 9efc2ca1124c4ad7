"""What is deleted in Klaviyo is flagged by the next run that can see it: those rows, and only those."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.conftest import Project, narrowed, only, synced
from klaviyo_assets_tests.expected import stored

DAYS = 10
SETTINGS = {
    "tables": only(
        *("list", "list_tag", "list_person", "segment_person", "global_exclusion", "list_exclusion"),
        *("account_history", "metric"),
    ),
    "memberships": "incremental",
    "predictive_analytics": "weekly",
}


@dataclass
class Synced:
    """A warehouse file that holds all of an account."""

    file: Path
    made: dt.datetime

    def account(self) -> Account:
        """The account as it was synced."""
        return narrowed(generate_account(events=300, profiles=80, days=DAYS, seed=11, now=self.made))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Synced:
    made = Synced(tmp_path_factory.mktemp("synced") / "warehouse.duckdb", dt.datetime.now(dt.UTC))
    synced(made.file, made.account(), DAYS, **SETTINGS)
    return made


@pytest.fixture
def klaviyo(project: Callable[..., Project], template: Synced, tmp_path: Path) -> Project:
    shutil.copy(template.file, tmp_path)
    account = template.account()
    account.clock.set(dt.datetime.now(dt.UTC))
    return project(account, **SETTINGS)


def keys(klaviyo: Project, table: str, *columns: str, deleted: bool) -> set[Any]:
    rows = [row for row in stored(klaviyo.warehouse, table) if row["_fivetran_deleted"] is deleted]
    return {tuple(row[c] for c in columns) if len(columns) > 1 else row[columns[0]] for row in rows}


def members(account: Account, kind: str) -> set[tuple[str, str]]:
    return {(group.id, person) for group in account.all(kind) for person in account.memberships[group.id]}


def test_leaving_and_deleting_lists(klaviyo: Project) -> None:
    account = klaviyo.account
    before = members(account, "list")
    assert keys(klaviyo, "list_person", "list_id", "person_id", deleted=False) == before
    first, second, *_ = [group.id for group in account.all("list") if account.memberships[group.id]]
    leaver = next(iter(account.memberships[first]))
    newcomer = next(p.id for p in account.all("profile") if p.id not in account.memberships[first])
    account.leave(first, leaver)
    account.join(first, newcomer)
    account.delete("list", second)

    klaviyo.sync()
    live = keys(klaviyo, "list_person", "list_id", "person_id", deleted=False)
    assert live == before | {(first, newcomer)}, "an incremental read sees who joined, and infers nothing"

    klaviyo.refresh()
    assert keys(klaviyo, "list_person", "list_id", "person_id", deleted=False) == members(account, "list")
    assert keys(klaviyo, "list_person", "list_id", "person_id", deleted=True) == before - members(account, "list")
    assert keys(klaviyo, "list", "id", deleted=True) == {second}
    assert keys(klaviyo, "list_tag", "list_id", deleted=True) <= {second}
    assert keys(klaviyo, "segment_person", "segment_id", "person_id", deleted=False) == members(account, "segment")


def test_a_list_that_is_deleted_while_it_is_read_is_no_error(klaviyo: Project) -> None:
    account = klaviyo.account
    doomed = account.all("list")[0].id

    def delete_it(call: Any) -> None:
        if call.operation == "get_profiles_for_list" and account.get("list", doomed):
            account.delete("list", doomed)

    klaviyo.sandbox.faults.append(delete_it)
    klaviyo.refresh()
    assert keys(klaviyo, "list_person", "list_id", "person_id", deleted=False) == members(account, "list")


def test_deleted_and_merged_profiles(klaviyo: Project) -> None:
    account = klaviyo.account
    suppressed = min(keys(klaviyo, "global_exclusion", "person_id", deleted=False))
    others = [p.id for p in account.all("profile") if p.id != suppressed]
    account.delete("profile", suppressed)
    account.merge_profiles(others[0], others[1])
    gone = {suppressed, others[0]}
    before = keys(klaviyo, "person", "id", deleted=True)
    klaviyo.sync()
    assert keys(klaviyo, "person", "id", deleted=True) == before, "only a sweep can see it"
    klaviyo.refresh()
    assert keys(klaviyo, "person", "id", deleted=True) == before | gone
    assert keys(klaviyo, "person", "id", deleted=False) == {p.id for p in account.all("profile")}
    assert suppressed in keys(klaviyo, "global_exclusion", "person_id", deleted=True)


def test_a_profile_that_a_sweep_overlooks_is_asked_for_before_it_is_flagged(klaviyo: Project) -> None:
    overlooked = klaviyo.account.all("profile")[7].id

    import klaviyo_assets.assets.person_passes as passes

    real = passes._all_profiles

    def blind(*arguments: Any) -> Any:
        for page in real(*arguments):
            document = page.json()
            document["data"] = [profile for profile in document["data"] if profile["id"] != overlooked]
            yield type("Page", (), {"json": lambda self, d=document: d, "content": page.content})()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "_all_profiles", blind)
        klaviyo.refresh()
    assert not keys(klaviyo, "person", "id", deleted=True)


def test_suppressions_come_and_go(klaviyo: Project) -> None:
    account = klaviyo.account
    lifted = min(keys(klaviyo, "global_exclusion", "person_id", deleted=False))
    list_id, person = min(keys(klaviyo, "list_exclusion", "list_id", "id", deleted=False))
    added = next(
        p.id for p in account.all("profile") if not p.attributes["subscriptions"]["email"]["marketing"]["suppression"]
    )
    before = keys(klaviyo, "global_exclusion", "person_id", deleted=False)
    account.unsuppress(lifted)
    account.unsuppress(person, list_id=list_id)
    account.suppress(added, "SPAM_COMPLAINT")
    klaviyo.sync()
    assert keys(klaviyo, "global_exclusion", "person_id", deleted=False) == before - {lifted} | {added}
    assert keys(klaviyo, "global_exclusion", "person_id", deleted=True) == {lifted}
    assert keys(klaviyo, "list_exclusion", "list_id", "id", deleted=True) == {(list_id, person)}


def test_a_load_that_fails_leaves_its_own_watermark_behind(project: Callable[..., Project]) -> None:
    """PERSON and its exclusions come from the same pages; what one of them has loaded says nothing of the others."""
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    account = generate_account(events=10, profiles=20, days=3, seed=2, now=yesterday)
    account.clock.set(yesterday)
    klaviyo = project(account, tables=only("global_exclusion", "list_exclusion"))
    klaviyo.sync(first=-3)
    person = next(
        p.id for p in account.all("profile") if not p.attributes["subscriptions"]["email"]["marketing"]["suppression"]
    )
    account.suppress(person, "SPAM_COMPLAINT")
    account.clock.advance(dt.timedelta(hours=5))  # longer than the overlap
    load = DuckDBWarehouse.load

    def fail(self: DuckDBWarehouse, spec: Any, *arguments: Any, **options: Any) -> Any:
        if spec.name == "global_exclusion":
            raise OSError("No space left on device")
        return load(self, spec, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "load", fail)
        assert not klaviyo.run("klaviyo_sync", 0).success
    account.clock.advance(dt.timedelta(hours=5))
    klaviyo.sync()
    assert person in keys(klaviyo, "global_exclusion", "person_id", deleted=False)


def test_a_tag_that_is_taken_away(klaviyo: Project) -> None:
    list_id, tag = min(keys(klaviyo, "list_tag", "list_id", "tag_id", deleted=False))
    klaviyo.account.remove_tag("list", list_id, tag)
    klaviyo.sync()
    assert keys(klaviyo, "list_tag", "list_id", "tag_id", deleted=True) == {(list_id, tag)}


def test_a_day_of_events_that_is_read_again_completely(klaviyo: Project) -> None:
    account = klaviyo.account
    day = dt.date.fromisoformat(klaviyo.day(-3))
    of_day = [e for e in account.events if dt.datetime.fromtimestamp(e.occurred_at, dt.UTC).date() == day]
    gone = [event.id for event in of_day[:3]]
    elsewhere = next(e.id for e in account.events if e.id not in {event.id for event in of_day})
    for event in (*gone, elsewhere):
        account.remove_event(event)
    klaviyo.sync()
    assert not keys(klaviyo, "event", "id", deleted=True), "an incremental read infers nothing"
    assert klaviyo.run("klaviyo_backfill", -4, -2).success
    assert keys(klaviyo, "event", "id", deleted=True) == set(gone)


def moved(account: Account, event: str, days: float) -> dt.datetime:
    """Correct the time of an event; return its new one."""
    old = account.remove_event(event)
    at = dt.datetime.fromtimestamp(old.occurred_at, dt.UTC) + dt.timedelta(days=days)
    account.add_event(old.metric_id, at, profile_id=old.profile_id, properties=old.properties, id=event)
    return at.replace(tzinfo=None)


@pytest.mark.parametrize("days", [-20, 3])
def test_an_event_whose_time_was_corrected_is_asked_for_and_lands_at_its_new_time(
    klaviyo: Project, days: float
) -> None:
    account = klaviyo.account
    metric, profile = account.all("metric")[0].id, account.all("profile")[0].id
    noon = account.clock.now().replace(hour=12) - dt.timedelta(days=4)
    moving, gone, *_ = [account.add_event(metric, noon, profile_id=profile).id for _ in range(6)]
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    at = moved(account, moving, days)
    account.remove_event(gone)
    account.update("metric", metric, name="Renamed meanwhile")
    klaviyo.sandbox.requests.clear()
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    assert len(klaviyo.sandbox.requests.of("get_event")) == 2
    assert keys(klaviyo, "event", "id", deleted=True) == {gone}
    row = next(row for row in stored(klaviyo.warehouse, "event") if row["id"] == moving)
    assert (row["datetime"], row["timestamp"], row["person_id"]) == (at, at, profile)
    assert (row["metric_id"], row["type"]) == (metric, "Renamed meanwhile")
    klaviyo.sandbox.requests.clear()
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    assert klaviyo.sandbox.requests.of("get_event") == [], "it is known where it is"


def test_events_that_klaviyo_says_nothing_about_are_not_flagged(klaviyo: Project) -> None:
    account = klaviyo.account
    metric = account.all("metric")[0].id
    noon = account.clock.now().replace(hour=12) - dt.timedelta(days=4)
    added = [account.add_event(metric, noon).id for _ in range(8)]
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    for event in added[:3]:
        account.remove_event(event)
    new = account.add_event(metric, noon).id

    def refuse(call: Any) -> Any:
        return Status(400) if call.operation == "get_event" and call.path.endswith(added[1]) else None

    klaviyo.sandbox.faults.append(refuse)
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    assert keys(klaviyo, "event", "id", deleted=True) == {added[0], added[2]}
    assert new in keys(klaviyo, "event", "id", deleted=False)
    klaviyo.sandbox.faults.clear()
    assert klaviyo.run("klaviyo_backfill", -4, -4).success
    assert keys(klaviyo, "event", "id", deleted=True) == set(added[:3])


def test_with_only_active_profiles_an_event_that_lost_its_profile_is_gone(
    project: Callable[..., Project],
) -> None:
    account = generate_account(events=0, profiles=5, days=3, seed=3)
    metric, profile = account.all("metric")[0].id, account.all("profile")[0].id
    noon = account.clock.now().replace(hour=12) - dt.timedelta(days=2)
    events = [account.add_event(metric, noon, profile_id=profile if n else None).id for n in range(5)]
    klaviyo = project(account, only_active_profiles=True, tables=only())
    assert klaviyo.run("klaviyo_backfill", -2, -2).success
    assert keys(klaviyo, "event", "id", deleted=False) == set(events[1:])
    moved(account, events[1], -20)
    assert klaviyo.run("klaviyo_backfill", -2, -2).success
    assert keys(klaviyo, "event", "id", deleted=True) == set(), "it has a profile, wherever it is"
    account.delete("profile", profile)
    assert klaviyo.run("klaviyo_backfill", -2, -2).success
    assert keys(klaviyo, "event", "id", deleted=True) == set(events[2:])


def test_days_that_lost_too_many_events_need_a_word(klaviyo: Project) -> None:
    metric = klaviyo.account.all("metric")[0].id
    noon = klaviyo.account.clock.now().replace(hour=12) - dt.timedelta(days=2)
    for second in range(20):  # however few the simulated shop has on that day
        klaviyo.account.add_event(metric, noon + dt.timedelta(seconds=second))
    assert klaviyo.run("klaviyo_backfill", -2, -2).success
    before = {event.id for event in klaviyo.account.events}
    for event in list(klaviyo.account.events):
        if dt.datetime.fromtimestamp(event.occurred_at, dt.UTC).date() == noon.date():
            klaviyo.account.remove_event(event.id)
    gone = before - {event.id for event in klaviyo.account.events}
    new = klaviyo.account.add_event(metric, noon).id
    assert klaviyo.run("klaviyo_backfill", -2, -2).success
    assert not keys(klaviyo, "event", "id", deleted=True)
    assert new in keys(klaviyo, "event", "id", deleted=False), "what is new lands"
    accepted = {"ops": {"klaviyo__event": {"config": {"accept_shrink": True}}}}
    assert klaviyo.run("klaviyo_backfill", -2, -2, config=accepted).success
    assert keys(klaviyo, "event", "id", deleted=True) == gone


def test_a_small_shop_that_loses_most_of_its_rows_gets_what_is_new_and_the_flags_a_day_later(
    project: Callable[..., Project],
) -> None:
    hour = dt.timedelta(hours=1)
    account = generate_account(events=0, profiles=10, days=8, seed=4, now=dt.datetime.now(dt.UTC) - 60 * hour)
    account.clock.set(dt.datetime.now(dt.UTC) - 60 * hour)
    metric = account.all("metric")[0].id
    start = account.clock.now() - 5 * 24 * hour
    events = [account.add_event(metric, start + n * hour).id for n in range(40)]
    klaviyo = project(account, tables=only("coupon"))
    klaviyo.sync(first=-6)
    coupons = {coupon.id for coupon in account.all("coupon")}
    assert len(coupons) >= 3
    for event in events[:25]:
        account.remove_event(event)
    for coupon in coupons:
        account.delete("coupon", coupon)

    def unfit(result: Any) -> set[str]:
        return {c.asset_key.path[-1] for c in result.get_asset_check_evaluations() if not c.passed}

    account.clock.advance(26 * hour)
    new = account.add_event(metric, account.clock.now() - hour).id
    assert unfit(klaviyo.sync()) == {"event", "coupon"}
    assert keys(klaviyo, "event", "id", deleted=False) == {*events, new}
    assert keys(klaviyo, "coupon", "id", deleted=False) == coupons
    account.clock.advance(hour)
    assert unfit(klaviyo.sync()) == {"event", "coupon"}, "it stays visible"
    account.clock.advance(26 * hour)
    klaviyo.sync()
    assert keys(klaviyo, "event", "id", deleted=True) == set(events[:25])
    assert keys(klaviyo, "event", "id", deleted=False) == {*events[25:], new}
    assert keys(klaviyo, "coupon", "id", deleted=True) == coupons
    assert not unfit(klaviyo.sync())


def test_predictive_analytics_are_filled_and_not_emptied_by_a_sync(klaviyo: Project) -> None:
    column = "predictive_analytics_historic_clv"
    profile = next(p for p in klaviyo.account.all("profile") if p.attributes["predictive_analytics"]["historic_clv"])
    value = profile.attributes["predictive_analytics"]["historic_clv"]

    def stored_value() -> Any:
        return next(row[column] for row in stored(klaviyo.warehouse, "person") if row["id"] == profile.id)

    assert stored_value() == value
    synced = {row["id"]: row["_fivetran_synced"] for row in stored(klaviyo.warehouse, "person")}
    klaviyo.refresh()
    assert {row["id"]: row["_fivetran_synced"] for row in stored(klaviyo.warehouse, "person")} == synced
    klaviyo.account.update("profile", profile.id, first_name="Neu")
    klaviyo.sync()
    assert stored_value() == value
    assert next(r["first_name"] for r in stored(klaviyo.warehouse, "person") if r["id"] == profile.id) == "Neu"


def test_the_account_gets_a_row_only_when_it_changed(klaviyo: Project) -> None:
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "account_history"]).success
    assert len(stored(klaviyo.warehouse, "account_history")) == 1
    account = klaviyo.account.all("account")[0]
    klaviyo.account.update("account", account.id, timezone="Europe/Paris")
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "account_history"]).success
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "account_history"]).success
    rows = sorted(stored(klaviyo.warehouse, "account_history"), key=lambda row: row["observed_at"])
    assert [row["timezone"] for row in rows][-1:] == ["Europe/Paris"] and len(rows) == 2
    assert not any(row["_fivetran_deleted"] for row in rows)
