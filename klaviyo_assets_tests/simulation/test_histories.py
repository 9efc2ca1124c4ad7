"""Histories of syncs, told by their seeds, and what the model of them sees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets_tests.simulation import faults, plan
from klaviyo_assets_tests.simulation.history import History, Wrong, simulated
from klaviyo_assets_tests.simulation.plan import DAY, HOUR

IN_SOAK = 500

FOUND = (Path(__file__).parent / "found.txt").read_text().split()
"""Seeds that have once shown a fault."""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], History]]:
    (tmp_path / "warehouse").mkdir()
    yield simulated(tmp_path / "warehouse", monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("seed", FOUND)
def test_a_history_that_was_wrong_once(seed: str, make: Callable[[int], History]) -> None:
    make(int(seed)).live(plan.history(int(seed)))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_SOAK))
def test_a_history_of_the_simulation(seed: int, make: Callable[[int], History]) -> None:
    make(seed).live(plan.history(seed))


@pytest.mark.soak
@pytest.mark.parametrize("fault", faults.FAULTS)
def test_a_fault_that_is_put_back_is_found(
    fault: faults.Fault, make: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(0).live(faults.DIRECTED[fault])
    fault(monkeypatch)
    with pytest.raises(Wrong):
        make(0).live(faults.DIRECTED[fault])


@pytest.mark.soak
def test_a_seed_is_one_history(make: Callable[[int], History]) -> None:
    told = []
    for _ in range(2):
        history = make(3)
        history.live(plan.history(3))
        told.append(history.told)
    assert told[0] == told[1]


def test_the_model_sees_what_is_wrong(make: Callable[[int], History]) -> None:
    history = make(1)
    history.drive(history.sync())
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


def ahead_of_the_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("klaviyo_assets.sync.ranges.MARGIN", -2 * HOUR)


def blind_for_late_events(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("klaviyo_assets.assets.incremental.sync_back_to", lambda *args, **given: None)


@pytest.mark.parametrize("fault", [ahead_of_the_data, blind_for_late_events])
def test_a_fault_of_the_product_is_found(
    fault: Callable[[pytest.MonkeyPatch], None], make: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
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
