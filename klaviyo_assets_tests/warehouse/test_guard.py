"""What a complete read lacks suspiciously: its other rows land, the flags wait."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.assets.advice import of_waiting
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Coverage, Sweep
from klaviyo_assets.warehouse.guard import FEW_WAIT, SETTLED_AFTER
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.state import WAITING, SyncState
from klaviyo_assets.warehouse.steps.deletes import MOST_ASKED
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, begin, event_columns, load, rows, warehouse_at

pytestmark = [pytest.mark.every_database, pytest.mark.also_without_sql]

MINUTE = dt.timedelta(minutes=1)
COUPONS = replace(EVENT, name="coupon", dynamic=None)
CODES = replace(COUPONS, name="coupon_code", primary_key=("id", "note"))


def read(warehouse: Any, ids: Iterable[Any], at: dt.datetime, *, spec: Any = COUPONS, **options: Any) -> LoadResult:
    """Load a complete read of the table that began at a time."""
    came = [{"id": str(id), "note": f"note {id}"} for id in ids]
    coverage = replace(WHOLE_TABLE, read_at=at)
    return load(warehouse, came, spec=spec, **{"coverage": coverage, "guard": 0.5, "at": at, **options})


def deleted(warehouse: DuckDBWarehouse, table: str = "coupon") -> list[str]:
    return [row["id"] for row in rows(warehouse, f"klaviyo.{table}") if row["_fivetran_deleted"]]


def waiting(warehouse: DuckDBWarehouse, table: str = "coupon") -> tuple[int, dt.datetime] | None:
    state = warehouse.state(table, WAITING)
    return (state.rows, state.synced_through) if state else None  # type: ignore[return-value]


@pytest.mark.parametrize("spec", [COUPONS, CODES], ids=["one column", "two columns"])
@pytest.mark.parametrize(("before", "left"), [(3, 0), (40, 15)])
def test_few_rows_are_flagged_once_a_read_hours_later_lacks_them_too(
    before: int, left: int, spec: Any, tmp_path: Path
) -> None:
    warehouse = warehouse_at(tmp_path)
    read(warehouse, range(before), NOON - MINUTE, spec=spec)
    going = before - left
    stays = [*range(left), "new"]
    state = SyncState(spec.name, synced_through=NOON)
    result = read(warehouse, stays, NOON, spec=spec, states=[state])
    assert (result.inserted, result.deleted, deleted(warehouse, spec.name)) == (1, 0, [])
    assert warehouse.state(spec.name) is not None and waiting(warehouse, spec.name) == (going, NOON)
    assert result.waiting and (result.waiting.live, result.waiting.rows, result.waiting.settles) == (
        before,
        going,
        True,
    )
    advice = of_waiting(result.waiting, spec.name, 0.5)
    assert f"{going} of the {before} live rows" in advice
    assert all(word in advice for word in ("`delete_guard`", "6 hours later", "`accept_shrink: true`"))

    for hours in range(1, 6):  # every hour, as the syncs do
        assert read(warehouse, stays, NOON + dt.timedelta(hours=hours), spec=spec).deleted == 0
    assert waiting(warehouse, spec.name) == (going, NOON)
    assert read(warehouse, stays, NOON + SETTLED_AFTER - MINUTE, spec=spec).deleted == 0
    assert read(warehouse, stays, NOON + SETTLED_AFTER, spec=spec).deleted == going
    assert len(deleted(warehouse, spec.name)) == going and waiting(warehouse, spec.name) is None


def test_what_came_back_in_between_begins_anew(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    later = NOON + SETTLED_AFTER
    read(warehouse, range(4), NOON - MINUTE)
    read(warehouse, [], NOON)
    load(warehouse, [{"id": "1"}], spec=COUPONS, at=NOON + MINUTE)  # no complete read, but here it is
    assert waiting(warehouse) == (3, NOON)
    read(warehouse, [2], NOON + 2 * MINUTE)
    assert waiting(warehouse) == (3, NOON)
    assert read(warehouse, [], later).deleted == 2
    assert (deleted(warehouse), waiting(warehouse)) == (["0", "3"], (2, NOON + 2 * MINUTE))
    assert read(warehouse, [], later + 2 * MINUTE).deleted == 1
    assert (deleted(warehouse), waiting(warehouse)) == (["0", "1", "3"], (1, later))


def test_many_rows_wait_until_somebody_says_so(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    many = FEW_WAIT + 1
    read(warehouse, range(many), NOON - MINUTE)
    for days in range(3):
        result = read(warehouse, ["new"], NOON + dt.timedelta(days=days))
        assert result.waiting and not result.waiting.settles and not result.deleted
    assert waiting(warehouse) == (many, NOON) and "until you say so" in of_waiting(result.waiting, "coupon", 0.5)
    result = read(warehouse, ["new"], NOON + dt.timedelta(days=9), guard=None)
    assert (result.deleted, result.waiting, waiting(warehouse)) == (many, None, None)


def test_many_rows_do_not_go_by_parts(tmp_path: Path) -> None:
    """A wrong answer for each of many days, each of them small, is a wrong answer for many rows."""
    warehouse = warehouse_at(tmp_path)
    days = [NOON.replace(hour=0) - dt.timedelta(days=n) for n in range(1, 6)]
    for n, day in enumerate(days):
        load(warehouse, [{"id": f"{n} {m}", "datetime": day.isoformat()} for m in range(30)], at=NOON - MINUTE)
    for later in (dt.timedelta(), SETTLED_AFTER, 2 * SETTLED_AFTER):
        for day in days:
            coverage = Coverage("datetime", day, day + dt.timedelta(days=1), read_at=NOON + later)
            result = load(warehouse, coverage=coverage, guard=0.5, at=NOON + later)
            settled = result.deleted
    assert not settled and not deleted(warehouse, "event") and waiting(warehouse, "event") == (150, NOON)


def test_a_time_from_the_future_settles_nothing_and_heals(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    read(warehouse, range(3), NOON - MINUTE)
    read(warehouse, [], NOON + dt.timedelta(days=9))
    assert read(warehouse, [], NOON + MINUTE).deleted == 0
    assert read(warehouse, [], NOON + MINUTE + SETTLED_AFTER).deleted == 3


def test_a_sweep_goes_by_the_same_rule(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    child = replace(COUPONS, name="child")
    load(warehouse, [{"id": id} for id in "abcd"])
    load(warehouse, [{"id": "of d", "note": "d"}], spec=child)

    def sweep(at: dt.datetime, **options: Any) -> LoadResult:
        with temporary_spool() as keys:
            keys.write_all(typed_batches([event_columns([{"id": "a"}])], EVENT))
            asked = Sweep(
                EVENT, keys, begin(warehouse), "datetime", at, lambda ids: set(), ((child, "note"),), **options
            )
            return warehouse.sweep(asked, guard=0.5)

    result = sweep(NOON + MINUTE, states=(SyncState("event", "sweep", synced_through=NOON),))
    assert result.waiting and (result.waiting.live, result.waiting.rows, result.deleted) == (4, 3, 0)
    assert warehouse.state("event", "sweep") and not deleted(warehouse, "child")
    load(warehouse, [{"id": "b"}], at=NOON + 2 * MINUTE)
    assert sweep(NOON + MINUTE + SETTLED_AFTER).deleted == 2
    assert (deleted(warehouse, "event"), deleted(warehouse, "child")) == (["c", "d"], ["of d"])
    assert waiting(warehouse, "event") == (1, NOON + MINUTE + SETTLED_AFTER)


# Asking


def asked(
    warehouse: Any, ids: Iterable[str], *, gone: set[str], alive: set[str], **options: Any
) -> tuple[Any, list[str]]:
    """Load a complete read of a day; say what was asked for."""
    questions: list[str] = []

    def ask(keys: list[str], spool: Spool) -> set[str]:
        with warehouse.connect():  # the file is closed meanwhile
            questions.extend(keys)
        moved = [
            {"id": id, "datetime": (NOON - 20 * dt.timedelta(days=1)).isoformat()} for id in sorted(alive & set(keys))
        ]
        spool.write_all(typed_batches([event_columns(moved)], EVENT) if moved else ())
        return gone & set(keys)

    day = NOON.replace(hour=0)
    coverage = Coverage("datetime", day, day + dt.timedelta(days=1), read_at=NOON + MINUTE)
    came = [{"id": id, "datetime": NOON.isoformat()} for id in ids]
    result = load(warehouse, came, **{"coverage": coverage, "guard": 0.5, "ask": ask, "at": NOON + MINUTE, **options})
    return result, questions


def events(warehouse: Any, count: int) -> list[str]:
    ids = [f"{n:04}" for n in range(count)]
    load(warehouse, [{"id": id, "datetime": NOON.isoformat()} for id in ids])
    return ids


def test_what_is_missing_from_a_part_is_asked_for_before_the_load(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    ids = events(warehouse, 10)
    result, questions = asked(warehouse, ids[3:], gone={ids[0]}, alive={ids[1]})
    assert questions == ids[:3]
    assert (result.deleted, deleted(warehouse, "event")) == (1, [ids[0]])
    assert [row["datetime"].day for row in rows(warehouse)][1] == 11  # 20 days before May 1
    assert result.waiting and (result.waiting.rows, result.waiting.suspicious) == (1, False), (
        "nobody knows of the third"
    )
    assert waiting(warehouse, "event") == (1, NOON + MINUTE)
    assert asked(warehouse, ids[2:], gone=set(), alive=set())[1] == []
    assert waiting(warehouse, "event") is None


def test_of_many_that_are_missing_some_are_asked_for_at_a_time(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    ids = events(warehouse, 3 * MOST_ASKED)
    missing, there = ids[: MOST_ASKED + 1], ids[MOST_ASKED + 1 :]
    result, questions = asked(warehouse, there, gone=set(missing), alive=set())
    assert len(questions) == result.deleted == MOST_ASKED
    assert result.waiting and "asks for some more" in of_waiting(result.waiting, "event", 0.5)
    result, questions = asked(warehouse, there, gone=set(missing), alive=set())
    assert (len(questions), result.deleted, waiting(warehouse, "event")) == (1, 1, None)


def test_too_many_are_not_asked_for_and_flagged_if_somebody_says_so(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    ids = events(warehouse, MOST_ASKED + 1)
    result, questions = asked(warehouse, [], gone=set(ids), alive=set())
    assert (questions, result.deleted, waiting(warehouse, "event")) == ([], 0, (len(ids), NOON + MINUTE))
    result, questions = asked(warehouse, [], gone=set(ids), alive=set(), guard=None)
    assert (questions, result.deleted) == ([], len(ids))
