"""What is newer is decided by the warehouse's numbers: neither wrong clocks nor runs that overlap undo anything."""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets import clock
from klaviyo_assets.cli.check import check
from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import Project, failures, narrowed, only, synced, without_campaigns
from klaviyo_assets_tests.expected import stored

DAYS = 4
DAY = dt.timedelta(days=1)
NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
TABLES = ("event", "person", "list", "list_person", "metric")
SETTINGS: dict[str, Any] = {
    "tables": only("list", "list_person", "metric", "global_exclusion", "list_exclusion"),
    "memberships": "incremental",
    "history_start": (NOON - DAYS * DAY).date(),
}


def an_account(seed: int = 4) -> Account:
    account = narrowed(without_campaigns(generate_account(events=90, profiles=20, days=DAYS, seed=seed, now=NOON)))
    account.clock.freeze()
    (settings,) = account.all("account")
    account.delete("account", settings.id)
    account.add(Resource("account", f"Shop{seed:02}", settings.attributes))
    return account


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synced(tmp_path_factory.mktemp("synced") / "warehouse.duckdb", an_account(), DAYS, **SETTINGS)


@pytest.fixture
def klaviyo(project: Callable[..., Project], template: Path, tmp_path: Path) -> Project:
    """All of the account has been synced."""
    shutil.copy(template, tmp_path)
    return project(an_account(), **SETTINGS)


def change(account: Account, number: int) -> None:
    """Something new, something changed and something deleted of each kind."""
    account.add_event(account.all("metric")[0].id, account.clock.now(), properties={"n": number}, id=f"New{number}")
    account.rename("metric", account.all("metric")[1].id, f"Renamed {number}")
    profile = account.all("profile")[number].id
    account.update("profile", profile, updated=account.clock.now().isoformat(), title=f"Title {number}")
    account.delete("list", account.all("list")[-1].id)


def live(klaviyo: Project, table: str) -> set[str]:
    return {row["id"] for row in stored(klaviyo.warehouse, table) if not row["_fivetran_deleted"]}


def known(klaviyo: Project) -> dict[tuple[str, str], SyncState]:
    """How far the tables are; not when the check last looked at them."""
    return {key: state for key, state in klaviyo.warehouse.states().items() if "inspected" not in key[1]}


# Clocks


WRONG = (dt.timedelta(minutes=50), pytest.param(-dt.timedelta(minutes=50), marks=pytest.mark.soak))


@pytest.mark.soak
@pytest.mark.parametrize("wrong", WRONG)
def test_a_machine_whose_clock_is_wrong_for_one_run(
    project: Callable[..., Project], wrong: dt.timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo = project(an_account(), **SETTINGS)
    account = klaviyo.account
    with monkeypatch.context() as patch:
        patch.setattr(clock, "machine_time", lambda: account.clock.now() + wrong)
        klaviyo.sync(first=-DAYS)
        klaviyo.refresh()
    for number in (1, 2):
        account.clock.advance(dt.timedelta(minutes=5))
        change(account, number)
        klaviyo.sync()
        assert klaviyo.differences("event", "person", "list", "metric") == []
    klaviyo.refresh()
    assert klaviyo.differences(*TABLES) == []


def test_account_settings_observed_in_the_future_are_not_stored_with_each_read(project: Callable[..., Project]) -> None:
    klaviyo = project(an_account(), tables=only("account_history"))
    klaviyo.sync(first=-DAYS)
    klaviyo.warehouse.query("UPDATE klaviyo.account_history SET observed_at = observed_at + INTERVAL 3 DAY")
    (settings,) = klaviyo.account.all("account")
    first = settings.attributes["timezone"]
    zones = ["Europe/Paris", "Europe/Paris", "Asia/Tokyo", "Asia/Tokyo"]
    for zone, hours in zip(zones, (7, 7, -3, 7), strict=True):  # both clocks may be set back, too
        klaviyo.account.clock.advance(dt.timedelta(hours=hours))
        klaviyo.account.update("account", settings.id, timezone=zone)
        assert klaviyo.run("klaviyo_full_refresh").success
    observed = sorted(row["timezone"] for row in stored(klaviyo.warehouse, "account_history"))
    assert observed == sorted([first, "Europe/Paris", "Asia/Tokyo"])


@pytest.mark.parametrize("wrong", WRONG)
def test_klaviyos_date_is_wrong_for_one_run(
    project: Callable[..., Project],
    template: Path,
    tmp_path: Path,
    wrong: dt.timedelta,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By less than makes a run fail, and by more than the overlap: what comes within that time is not skipped."""
    shutil.copy(template, tmp_path)
    klaviyo = project(an_account(), **SETTINGS, overlap="PT5M")
    account = klaviyo.account
    account.clock.advance(dt.timedelta(hours=1))
    right = account.clock.now()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "machine_time", lambda: right)
        account.clock.set(right + wrong)
        klaviyo.sync()
    for number, minutes in enumerate((10, 65)):
        account.clock.set(right + dt.timedelta(minutes=minutes))
        change(account, number)
    klaviyo.sync()
    assert klaviyo.differences("event", "person", "list", "metric") == []


def test_runs_whose_clocks_are_apart_fail_and_change_nothing(klaviyo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    account, before = klaviyo.account, known(klaviyo)
    right = account.clock.now()
    for who, wrong in itertools.product(("machine", "Klaviyo"), (2 * DAY, 20 * DAY, -DAY, dt.timedelta(hours=3))):
        with monkeypatch.context() as patch:
            patch.setattr(clock, "machine_time", lambda ahead=wrong if who == "machine" else 0 * DAY: right + ahead)
            account.clock.set(right + (wrong if who == "Klaviyo" else 0 * DAY))
            result = klaviyo.run("klaviyo_sync", 0)
            assert not result.success and "The clocks are apart" in str(failures(result)), (who, wrong)
        assert known(klaviyo) == before, (who, wrong)
    account.clock.set(right + dt.timedelta(hours=1))
    change(account, 1)
    klaviyo.sync()
    klaviyo.refresh()
    assert klaviyo.differences(*TABLES) == []


@pytest.mark.parametrize("stored_ahead", [0 * DAY, 3 * DAY])
def test_states_and_rows_from_the_future_heal(klaviyo: Project, stored_ahead: dt.timedelta) -> None:
    """What a run left that believed a gateway's date, three days ahead; its own clock right, or ahead as well."""
    account = klaviyo.account
    states = (
        "UPDATE klaviyo._sync_state SET synced_through = synced_through + INTERVAL 3 DAY, synced_at = synced_at + ?"
    )
    klaviyo.warehouse.query(states, [stored_ahead])
    for table in TABLES:
        klaviyo.warehouse.query(f"UPDATE klaviyo.{table} SET _fivetran_synced = _fivetran_synced + INTERVAL 3 DAY")
    for number, hours in enumerate((1, 100)):
        account.clock.advance(dt.timedelta(hours=hours))
        change(account, number)
        klaviyo.sync()
        assert klaviyo.differences("event", "person", "metric", "list") == []
        for (table, _), state in klaviyo.warehouse.states().items():
            if state.fingerprint is None:  # else it speaks of no time
                through = state.synced_through
                assert through and through < account.clock.now() + dt.timedelta(minutes=1), table


def test_a_state_of_a_past_future_heals_too(klaviyo: Project) -> None:
    """The date of the gateway has come meanwhile; what was between is still to be read."""
    account = klaviyo.account
    klaviyo.warehouse.query(
        "UPDATE klaviyo._sync_state SET synced_through = synced_through + INTERVAL 3 DAY WHERE scope <> 'snapshot'"
    )
    account.clock.advance(DAY)
    change(account, 1)
    account.clock.advance(4 * DAY)
    klaviyo.sync()
    assert klaviyo.differences("event", "person") == []


def test_the_day_of_a_sync_is_that_of_klaviyo(klaviyo: Project) -> None:
    """The schedule of a machine a day behind asks for yesterday, that of one ahead for days to come."""
    account = klaviyo.account
    for number, (first, last) in enumerate([(-1, -1), (-3, -2)]):
        account.clock.advance(dt.timedelta(hours=2))
        change(account, number)
        result = klaviyo.run("klaviyo_sync", first, last)
        assert result.success, failures(result)
        assert klaviyo.differences("event", "person") == []


# Runs that overlap


def stall(klaviyo: Project, monkeypatch: pytest.MonkeyPatch, table: str, meanwhile: Callable[[], object]) -> None:
    """Let the first load of a table wait until something else has happened."""
    load, waited = DuckDBWarehouse.load, []

    def stalled(self: DuckDBWarehouse, extract: Extract, spool: Spool, **options: Any) -> LoadResult:
        if extract.spec.name == table and not waited:
            waited.append(table)
            meanwhile()
        return load(self, extract, spool, **options)

    monkeypatch.setattr(DuckDBWarehouse, "load", stalled)


@pytest.mark.parametrize("slept", [dt.timedelta(hours=2), dt.timedelta(hours=30)])
def test_a_run_that_slept_with_its_machine_goes_on(
    klaviyo: Project, monkeypatch: pytest.MonkeyPatch, slept: dt.timedelta
) -> None:
    """A lid was closed: both clocks are right afterwards, but the time that the machine counts has stood still."""
    change(klaviyo.account, 1)
    with monkeypatch.context() as patch:
        stall(klaviyo, patch, "event", lambda: klaviyo.account.clock.advance(slept))
        klaviyo.sync()
    assert klaviyo.differences("event", "person", "list", "metric") == []


def test_an_event_that_a_later_run_flagged_stays_flagged(klaviyo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    account = klaviyo.account
    doomed = next(event for event in account.events if event.occurred_at < (NOON - DAY).timestamp())

    def delete_and_flag() -> None:
        account.remove_event(doomed.id)
        assert klaviyo.run("klaviyo_backfill", -DAYS, -1, only=["klaviyo", "event"]).success
        assert doomed.id not in live(klaviyo, "event")

    stall(klaviyo, monkeypatch, "event", delete_and_flag)
    assert klaviyo.run("klaviyo_backfill", -DAYS, -1, only=["klaviyo", "event"]).success
    assert doomed.id not in live(klaviyo, "event")
    assert klaviyo.differences("event") == []


def test_a_profile_and_a_member_that_a_later_run_flagged_stay_flagged(
    klaviyo: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = klaviyo.account
    group = next(group.id for group in account.all("list") if account.memberships[group.id])
    doomed = next(iter(account.memberships[group]))

    def delete_and_flag() -> None:
        account.delete("profile", doomed)
        assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "person_deletes"]).success
        assert doomed not in live(klaviyo, "person")

    with monkeypatch.context() as patch:
        stall(klaviyo, patch, "person", delete_and_flag)
        assert klaviyo.run("klaviyo_backfill", -DAYS, 0).success
    assert doomed not in live(klaviyo, "person")

    leaver = next(iter(account.memberships[group]))
    with monkeypatch.context() as patch:

        def leave_and_flag() -> None:
            account.leave(group, leaver)
            assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "list_person"]).success

        stall(klaviyo, patch, "list_person", leave_and_flag)
        assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "list_person"]).success
    assert klaviyo.differences("person", "list_person") == []


@pytest.mark.parametrize("list_only", [False, True])
def test_an_exclusion_of_a_profile_that_a_later_run_flagged(
    klaviyo: Project, monkeypatch: pytest.MonkeyPatch, list_only: bool
) -> None:
    """It is new to its table, and no page of a profile will ever show that it is gone."""
    account = klaviyo.account
    account.clock.advance(dt.timedelta(hours=1))
    excluded = {row["person_id"] for row in stored(klaviyo.warehouse, "global_exclusion")}
    doomed = next(profile.id for profile in account.all("profile") if profile.id not in excluded)
    account.suppress(doomed, list_id=account.all("list")[0].id if list_only else None)

    def delete_and_flag() -> None:
        account.delete("profile", doomed)
        assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "person_deletes"]).success
        assert doomed not in live(klaviyo, "person")

    with monkeypatch.context() as patch:
        stall(klaviyo, patch, "list_exclusion" if list_only else "global_exclusion", delete_and_flag)
        klaviyo.sync()
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo", "person_deletes"]).success
    assert klaviyo.differences("person", "global_exclusion", "list_exclusion") == []


# The account and its tables


def test_another_accounts_key_is_refused_with_both_names(project: Callable[..., Project], klaviyo: Project) -> None:
    other = project(an_account(seed=9), **SETTINGS)
    ours, theirs = (each.account.all("account")[0] for each in (klaviyo, other))
    assert ours.id != theirs.id
    before = {table: stored(klaviyo.warehouse, table) for table in ("event", "person", "metric")}
    result = other.run("klaviyo_sync", -DAYS)
    assert not result.success
    for account in (ours, theirs):
        name = account.attributes["contact_information"]["organization_name"]
        assert f"{name} ({account.id})" in str(failures(result))
    assert {table: stored(klaviyo.warehouse, table) for table in before} == before
    klaviyo.sync()


WITHOUT_ACCOUNTS = frozenset({"events:read", "profiles:read", "metrics:read", "lists:read", "tags:read"})


@pytest.mark.parametrize(
    ("tables", "scopes", "named", "known"),
    [
        (("metric",), WITHOUT_ACCOUNTS, "metrics", True),
        ((), WITHOUT_ACCOUNTS, "metrics", False),
        (("list",), WITHOUT_ACCOUNTS - {"metrics:read"}, "lists", True),
    ],
)
def test_another_accounts_key_that_can_not_say_whose_it_is_is_refused_by_ids(
    project: Callable[..., Project], tables: tuple[str, ...], scopes: frozenset[str], named: str, known: bool
) -> None:
    klaviyo = project(an_account(), tables=only(*tables))
    klaviyo.account.keys["pk_sandbox"] = None if known else scopes
    klaviyo.sync(first=-DAYS)
    before = {table: stored(klaviyo.warehouse, table) for table in ("event", "person", *tables)}
    other = project(an_account(seed=9), tables=only(*tables))
    other.account.keys["pk_sandbox"] = scopes
    result = other.run("klaviyo_sync", -DAYS)
    assert not result.success
    assert f"it has none of the {named} that the key reads" in str(failures(result))
    assert "accounts:read" in str(failures(result))
    assert {table: stored(klaviyo.warehouse, table) for table in before} == before
    assert any(f"none of the {named}" in problem for problem in check(other.settings).problems)


def test_a_key_that_can_not_say_whose_it_is_goes_on_with_a_warning(klaviyo: Project) -> None:
    klaviyo.account.keys["pk_sandbox"] = WITHOUT_ACCOUNTS
    change(klaviyo.account, 1)
    for _ in range(2):
        result = klaviyo.sync()
        log = [entry.user_message for entry in klaviyo.instance.all_logs(result.run_id)]
        (warning,) = [message for message in log if "accounts:read" in message]
        assert f"({klaviyo.account.all('account')[0].id})" in warning
    assert klaviyo.differences(*TABLES) == []
    report = check(klaviyo.settings)
    assert report.warnings == [warning] and not report.problems


def test_a_warehouse_from_before_it_knew_its_account(project: Callable[..., Project]) -> None:
    tables = {"tables": only("account_history")}
    klaviyo = project(an_account(), **tables)
    klaviyo.sync(first=-DAYS)
    klaviyo.warehouse.query("DROP TABLE klaviyo._account")
    result = project(an_account(seed=9), **tables).run("klaviyo_sync", -DAYS)
    assert not result.success and klaviyo.account.all("account")[0].id in str(failures(result))


@pytest.mark.parametrize(
    ("void", "tables"),
    [
        ("DROP TABLE klaviyo.{0}", ["event", "list_person"]),
        ("DELETE FROM klaviyo.{0}", ["event", "list_person"]),
        ("DELETE FROM klaviyo.{0}", ["person", "metric"]),
        ("ALTER TABLE klaviyo.{0} RENAME TO {0}_kept_aside", ["person", "metric"]),
    ],
)
def test_tables_that_are_gone_or_emptied_are_imported_anew(klaviyo: Project, void: str, tables: list[str]) -> None:
    for table in tables:
        klaviyo.warehouse.query(void.format(table))
    klaviyo.sync()
    assert klaviyo.differences(*tables) == []


@pytest.mark.parametrize(
    "anew",
    [
        pytest.param("SELECT * FROM klaviyo.{0} ORDER BY id LIMIT 1", marks=pytest.mark.soak),
        "SELECT id, _fivetran_synced, _fivetran_deleted FROM klaviyo.{0}",
        "SELECT * EXCLUDE _fivetran_deleted FROM klaviyo.{0}",
    ],
)
def test_tables_that_were_made_anew_with_rows_in_them_are_imported_anew(klaviyo: Project, anew: str) -> None:
    """Fewer rows than before, or fewer columns, as also an upgrade that adds a column leaves them."""
    tables = ("event", "person", "metric", "list")
    for table in tables:
        klaviyo.warehouse.query(f"CREATE OR REPLACE TABLE klaviyo.{table} AS {anew.format(table)}")
    result = klaviyo.sync()
    assert klaviyo.differences(*tables) == []
    for run, voided in ((result, set(tables)), (klaviyo.sync(), set())):
        said = "".join(line.user_message for line in klaviyo.instance.all_logs(run.run_id))
        assert {table for table in tables if f"{table} is synced is void: " in said} == voided


def test_history_is_asked_for_again_after_its_table_was_dropped(project: Callable[..., Project]) -> None:
    klaviyo = project(an_account(), **SETTINGS, first_sync_days=1)
    klaviyo.sync(first=-DAYS)
    klaviyo.warehouse.query("DROP TABLE klaviyo.event")
    klaviyo.sync()
    state = klaviyo.warehouse.state("event")
    assert state and state.synced_from and state.synced_from >= NOON - 2 * DAY, "the rest is the sensor's to ask for"
