"""What an inspection finds in a table, and how much of the table it looks at."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.schema.spec import ForeignKey
from klaviyo_assets.warehouse.duckdb.session import DuckDBSession
from klaviyo_assets.warehouse.extract import Publication
from klaviyo_assets.warehouse.results import Inspection
from klaviyo_assets.warehouse.steps import inspection
from klaviyo_assets_tests.warehouse.helpers import in_use, run, warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import DAY, EVENT, METRIC, NOON, load, snapshot

pytestmark = pytest.mark.every_database

PARENT = ForeignKey("note", "metric")


def look(warehouse: Any, after: dt.timedelta = DAY, *keys: ForeignKey) -> Inspection:
    return warehouse.inspect([(EVENT, keys)], now=NOON + after)["event"]


def change(warehouse: Any, statement: str) -> None:
    if in_use[-1] == "postgres":  # which lets no row in that has no key of its own
        for forbids in ("DROP CONSTRAINT IF EXISTS event_pkey", "ALTER id DROP NOT NULL"):
            warehouse.query(f"ALTER TABLE klaviyo.event {forbids}")
    warehouse.query(statement)


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    made = warehouse_at(tmp_path)
    load(made, [{"id": f"e{n}", "note": f"m{n % 2}"} for n in range(10)])
    return made


def test_nothing_is_wrong_with_what_a_load_wrote(warehouse: Any) -> None:
    first = look(warehouse)
    assert first.flawless and (first.rows, first.live, first.live_before, first.wholly) == (10, 10, None, True)
    assert replace(look(warehouse, 2 * DAY), live_before=None) == first
    assert warehouse.inspect([(METRIC, ())], now=NOON) == {}, "there is no such table yet"


@pytest.mark.not_of("clickhouse")  # where a key is there once, whatever users insert
def test_flaws_are_found_until_they_are_mended(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SMALL", 0)
    look(warehouse)
    late = f"TIMESTAMP '{(NOON + DAY).replace(tzinfo=None)}'"
    change(warehouse, f"INSERT INTO klaviyo.event (id, _fivetran_synced) VALUES ('e1', {late}), (NULL, {late})")
    for days in (2, 3, 4):
        seen = look(warehouse, days * DAY)
        assert (seen.wholly, seen.duplicates, seen.without_key) == (False, 1, 1)
    change(warehouse, f"DELETE FROM klaviyo.event WHERE _fivetran_synced = {late}")
    assert look(warehouse, 5 * DAY).flawless


@pytest.mark.not_of("clickhouse")  # where a key is there once, whatever users insert
def test_a_large_table_is_looked_at_as_a_whole_once_a_week(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "SMALL", 0)
    look(warehouse)
    change(
        warehouse, "INSERT INTO klaviyo.event SELECT * FROM klaviyo.event WHERE id = 'e1'"
    )  # by somebody else, long ago
    assert look(warehouse, 3 * DAY).flawless
    seen = look(warehouse, 9 * DAY)
    assert (seen.wholly, seen.duplicates) == (True, 1)


def test_orphans_are_rows_whose_parent_nobody_knows(warehouse: Any) -> None:
    snapshot(warehouse, [{"id": "m1", "note": "known"}])
    assert look(warehouse, DAY, PARENT).orphans == {}, "nothing to compare with yet"
    warehouse.publish(Publication(METRIC), guard=0.5)
    assert look(warehouse, 2 * DAY, PARENT).orphans == {"note": 5}
    change(
        warehouse,
        "UPDATE klaviyo.event SET _fivetran_deleted = true, _fivetran_synced = '2100-01-01' WHERE note = 'm0'",
    )
    seen = look(warehouse, 3 * DAY, PARENT)
    assert seen.orphans == {"note": 0} and (seen.live, seen.live_before, seen.flagged) == (5, 10, 5)


@pytest.mark.parametrize(("statement", "before"), [("DELETE FROM", 10), ("DROP TABLE", None)])
def test_a_table_that_was_emptied_is_smaller_and_one_that_was_dropped_is_new(
    warehouse: Any, statement: str, before: int | None
) -> None:
    look(warehouse)
    run(warehouse, f"{statement} klaviyo.event" + (" WHERE 1 = 1" if before else ""))
    load(warehouse, [{"id": "e1"}])
    seen = look(warehouse, 2 * DAY)
    assert (seen.live, seen.live_before) == (1, before)


@pytest.mark.of_duckdb
def test_looking_is_bounded_in_memory_unless_that_is_too_little(
    warehouse: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(
        warehouse,
        "INSERT INTO klaviyo.event (id, _fivetran_synced) SELECT repeat('x', 1000) || i, now() FROM range(9000) r(i)",
    )
    limits = []
    limit_memory = DuckDBSession.limit_memory
    monkeypatch.setattr(
        DuckDBSession, "limit_memory", lambda self, limit: limit_memory(self, limits.append(limit) or limit)
    )
    monkeypatch.setattr("klaviyo_assets.warehouse.warehouse.INSPECTION_MEMORY", "1MB")
    with caplog.at_level("INFO", "klaviyo_assets"):
        assert look(warehouse).rows == 9010
    assert limits == ["1MB", None] and "needs more memory than 1MB" in caplog.text
