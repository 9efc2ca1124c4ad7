"""Histories of syncs, told by their seeds, and what the model of them sees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets_tests.expected.compare import lost_properties
from klaviyo_assets_tests.simulation import faults, plan
from klaviyo_assets_tests.simulation.history import TABLES, History, Wrong, simulated
from klaviyo_assets_tests.simulation.plan import DAY, HOUR

IN_TEST = 15
IN_SOAK = {1: 20_000, 2: 500}
"""Tier -> its seeds. In pieces, for a test of its own takes a tenth of a history of the first tier."""

PIECE = 100

FOUND = (Path(__file__).parent / "found.txt").read_text().split()
"""Seeds that have once shown a fault."""

Make = Callable[[int], History]


@pytest.fixture
def tier(request: pytest.FixtureRequest) -> int:
    found: int = getattr(request, "param", 1)
    return found


@pytest.fixture
def make(tier: int, tmp_path: Path) -> Iterator[Make]:
    (tmp_path / "warehouse").mkdir()
    with simulated(tmp_path / "warehouse", tier) as make:
        yield make


both_tiers = pytest.mark.parametrize("tier", [1, 2], indirect=True)
in_duckdb = pytest.mark.parametrize("tier", [2], indirect=True)


@pytest.mark.soak
@both_tiers
@pytest.mark.parametrize("seed", FOUND)
def test_a_history_that_was_wrong_once(seed: str, make: Make) -> None:
    make(int(seed)).live(plan.history(int(seed)))


@pytest.mark.parametrize("seed", range(IN_TEST))
def test_a_history_of_the_first_tier(seed: int, make: Make) -> None:
    make(seed).live(plan.history(seed))


@pytest.mark.soak
@pytest.mark.parametrize("first", range(IN_TEST, IN_SOAK[1], PIECE))
def test_many_histories_of_the_first_tier(first: int, make: Make) -> None:
    for seed in range(first, min(first + PIECE, IN_SOAK[1])):
        make(seed).live(plan.history(seed))


@pytest.mark.soak
@in_duckdb
@pytest.mark.parametrize("seed", range(IN_SOAK[2]))
def test_many_histories_of_the_second_tier(seed: int, make: Make) -> None:
    make(seed).live(plan.history(seed))


@pytest.mark.soak
@in_duckdb
@pytest.mark.parametrize("fault", faults.FAULTS)
def test_a_fault_that_is_put_back_is_found(fault: faults.Fault, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make(0).live(faults.DIRECTED[fault])
    fault(monkeypatch)
    with pytest.raises(Wrong):
        make(0).live(faults.DIRECTED[fault])


def test_a_seed_is_one_history(make: Make) -> None:
    """Also the times: of the account, and at which rows are written."""
    lived = []
    for _ in range(2):
        history = make(3)
        history.live(plan.history(3)[:4])
        lived.append([history.told, history.ticks, history.warehouse.states(), *map(history.rows, TABLES)])
    assert repr(lived[0]) == repr(lived[1])


def test_the_model_sees_what_is_wrong(make: Make) -> None:
    history = make(1)
    history.drive(history.sync())
    history.backfills()
    history.check("a sync")
    account, model, now = history.account, history.model, history.account.clock.now()
    read = (None, now)

    def wrong(name: str, change: Callable[[list[dict[str, Any]]], object]) -> str:
        rows = history.rows(name)
        assert model.wrong(name, rows, None) == model.differs(name, rows) == []
        change(rows)
        return "\n".join(model.wrong(name, rows, read) + model.differs(name, rows))

    def without(rows: list[dict[str, Any]]) -> None:
        on_time = {id for id in model.seen if model.seen[id] - at[id] <= dt.timedelta(0)}
        rows.remove(next(row for row in rows if row["id"] in on_time))

    at = {event.id: dt.datetime.fromtimestamp(event.occurred_at, dt.UTC) for event in account.events}
    model.seen |= at
    broken: list[tuple[str, Callable[[list[dict[str, Any]]], object], str]] = [
        ("event", lambda rows: rows.append(rows[0]), "twice"),
        ("event", lambda rows: rows.append({**rows[0], "id": "none"}), "which Klaviyo never had"),
        ("event", lambda rows: rows[0].update(_fivetran_deleted=True), "has never been gone"),
        ("event", lambda rows: rows[0].update(uuid="another"), "as it never was"),
        ("event", without, "below the watermark"),
        ("person", lambda rows: rows[0].update(first_name="Nobody"), "as it never was"),
        ("person", lambda rows: rows.pop(), "person lacks"),
        ("list", lambda rows: rows[0].update(_fivetran_deleted=True), "has never been gone"),
        ("metric", lambda rows: rows[0].update(name=None), "as it never was"),
    ]
    for name, change, said in broken:
        assert said in wrong(name, change), (name, said)
    assert model.ahead("event", now) == [] != model.ahead("event", now + dt.timedelta(seconds=1))
    deleted = account.delete("list", sorted(each.id for each in account.all("list"))[0])
    model.observe()
    assert deleted is None and "should be gone" in "\n".join(model.differs("list", history.rows("list")))


def test_numbers_do_not_tell_of_an_event_that_came_where_another_went(make: Make) -> None:
    history = make(1)
    account, model = history.account, history.model
    history.drive(history.sync())
    old = min(account.events, key=lambda event: event.occurred_at)
    account.clock.advance(8 * DAY)
    account.remove_event(old.id)
    model.observe()
    assert any(old.id in problem for problem in model.differs("event", history.rows("event")))
    account.add_event(old.metric_id, dt.datetime.fromtimestamp(old.occurred_at, dt.UTC), id="Late")
    model.observe()
    assert model.differs("event", history.rows("event")) == []
    account.add_event(old.metric_id, dt.datetime.fromtimestamp(old.occurred_at, dt.UTC), id="Later")
    model.observe()
    assert len(model.differs("event", history.rows("event"))) == 3


def test_a_value_may_be_that_of_several_properties() -> None:
    """Whatever the order of the columns: the number 1 can be in one of text, the text 1 in no column of numbers."""
    properties = {"n": 1, "name": "1"}
    for columns in (("property_name", "property_n"), ("property_n", "property_name")):
        row = {column: "1" if column == "property_name" else 1 for column in columns}
        assert lost_properties(properties, row, "property_") is None
    assert lost_properties(properties, {"property_name": 1, "property_n": 1}, "property_")
    assert lost_properties({"n": 1}, {"property_name": "1", "property_n": 1}, "property_")


def ahead_of_the_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("klaviyo_assets.sync.ranges.MARGIN", -2 * HOUR)


def blind_for_late_events(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("klaviyo_assets.assets.incremental.sync_back_to", lambda *args, **given: None)


@pytest.mark.parametrize("fault", [ahead_of_the_data, blind_for_late_events])
def test_a_fault_of_the_product_is_found(
    fault: Callable[[pytest.MonkeyPatch], None], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    history = make(2)
    metric = sorted(each.id for each in history.account.all("metric"))[0]
    with pytest.raises(Wrong):
        history.drive(history.sync())
        history.account.add_event(metric, history.account.clock.now() - 2 * DAY, id="Late")
        history.model.observe()
        history.account.clock.advance(DAY)
        history.drive(history.sync())
        history.quiet(0)


def test_late_events_of_days_that_were_read_before_the_first_sync_land_within_a_day(make: Make) -> None:
    history = make(2)
    metric = sorted(each.id for each in history.account.all("metric"))[0]
    history.read_by_hand(30, 1)
    history.account.add_event(metric, history.account.clock.now() - 6 * DAY, id="Late")
    history.model.observe()
    history.account.clock.advance(4 * DAY)
    history.drive(history.sync())
    history.backfills()
    history.account.clock.advance(DAY)
    history.drive(history.sync())
    history.check("the re-read")
    assert "Late" in {row["id"] for row in history.rows("event")}
