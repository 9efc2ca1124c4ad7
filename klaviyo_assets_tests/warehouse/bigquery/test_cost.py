"""What an hourly sync costs at BigQuery, which bills bytes: a model of its rules, for the statements that are sent.

A query is billed for the columns that it refers to, in the partitions that its conditions choose; an UPDATE or a DELETE
for all columns of the partitions that it changes, too; each table in a statement for 10 MB at least. To count rows
costs nothing.

https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#on-demand_query_size_calculation
https://cloud.google.com/bigquery/pricing#on_demand_pricing
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp, parse_one

from klaviyo_assets.schema.spec import Column, ForeignKey, Type
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, load, warehouse_at

pytestmark = pytest.mark.of_bigquery

MB, GB = 10**6, 10**9
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
ROWS, DAYS = 10_000_000, 1_000
WIDTHS = {"id": 24, "datetime": 8, "person_id": 28, "note": 20, "_fivetran_synced": 8, "_fivetran_deleted": 1}
"""Average bytes of a column: a text has two more than its characters."""

WIDTH = 1_000
"""Of all columns of a row."""

LARGE = replace(
    EVENT,
    columns=(*EVENT.columns, Column("person_id", Type.TEXT)),
    partitioned_by="datetime",
    foreign_keys=(ForeignKey("person_id", "person"),),
)
_DAY_OF = r"(?:TIMESTAMP|CAST\()\s?'([\d-]+)'(?: AS TIMESTAMP\))?"
_RANGE = re.compile(rf"`datetime` >= {_DAY_OF} AND [\w`.]*`datetime` < {_DAY_OF}")


def bytes_of(statement: str) -> float:
    """What BigQuery would bill for a statement, if EVENT had ten million rows."""
    if not re.match(r"SELECT|INSERT|UPDATE|DELETE|CREATE", statement):
        return 0
    parsed = parse_one(statement, read="bigquery")
    tables = list(parsed.find_all(exp.Table))
    billed = sum(_of_events(parsed, table) for table in tables if (table.db, table.name) == ("klaviyo", "event"))
    others = {(table.db, table.name) for table in tables if not _counts_only(table)}
    return max(billed, 10 * MB * len(others))


def _of_events(parsed: Any, table: Any) -> float:
    changed = isinstance(parsed, exp.Update | exp.Delete) and parsed.this is table
    if isinstance(parsed, exp.Insert) and (parsed.this is table or parsed.this.this is table):
        return 0
    within = parsed if changed else table.find_ancestor(exp.Select)
    share = _share(within.args.get("where"))
    alias = table.alias_or_name
    names = {
        column.name
        for column in (parsed if changed or isinstance(parsed, exp.Update) else within).find_all(exp.Column)
        if column.table in (alias, "") and column.name in WIDTHS
    }
    return ROWS * share * (sum(WIDTHS[name] for name in names) + (WIDTH if changed else 0))


def _counts_only(table: Any) -> bool:
    query = table.find_ancestor(exp.Select)
    return bool(
        query
        and not query.args.get("where")
        and "count(*)" in query.sql().lower()
        and not list(query.find_all(exp.Column))
    )


def _share(where: Any) -> float:
    """The share of the partitions that conditions on the column itself choose."""
    if where is None:
        return 1
    text = where.sql("bigquery")
    ranges = _RANGE.findall(text)
    if not ranges:
        return 1
    days = {
        dt.date.fromisoformat(first) + DAY * number
        for first, last in ranges
        for number in range((dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days)
    }
    return len(days) / DAYS


def test_an_hourly_sync_of_ten_million_events_costs_less_than_a_gigabyte(tmp_path: Path) -> None:
    """One looks for the keys that came, in two columns; what comes after it looks at two days."""
    warehouse = warehouse_at(tmp_path)

    def sync(hour: int, *rows: dict[str, Any]) -> None:
        now = NOON + hour * HOUR
        begun = warehouse.begin(now=now, tables=[LARGE])
        warehouse.set_clock(now)
        states = [SyncState("event", synced_from=NOON - 900 * DAY, synced_through=now)]
        load(warehouse, list(rows), spec=LARGE, states=states, began=begun.number, at=now)

    old = {"id": "old", "datetime": (NOON - DAY).isoformat()}
    sync(0, old, {"id": "first", "datetime": NOON.isoformat()})
    warehouse.inspect([(LARGE, [])], now=NOON)
    warehouse.sent.clear()
    sync(1, old, {"id": "first", "datetime": NOON.isoformat()}, {"id": "new", "datetime": (NOON + HOUR).isoformat()})
    bills = [(bytes_of(text), text) for text, _ in warehouse.sent]
    (lookup,) = [billed for billed, text in bills if text.startswith("SELECT DISTINCT CAST(`own`.`datetime` AS DATE)")]
    (update,) = [billed for billed, text in bills if text.startswith("UPDATE `klaviyo`.`event`")]
    assert lookup == ROWS * (WIDTHS["id"] + WIDTHS["datetime"])
    assert ROWS / DAYS * 2 * WIDTH <= update < 50 * MB, "two days, with all columns"
    assert sum(billed for billed, _ in bills) < 0.7 * GB, sorted(bills, reverse=True)[:8]
    assert len(bills) < 45, "each takes half a second"


def test_the_model_bills_what_looks_at_all_days() -> None:
    update = "UPDATE `klaviyo`.`event` AS own SET `note` = 'x' WHERE own.`id` = 'x'"
    assert bytes_of(update) >= ROWS * WIDTH
    on_a_day = f"{update} AND (own.`datetime` >= TIMESTAMP '2026-05-01' AND own.`datetime` < TIMESTAMP '2026-05-02')"
    assert 0.9 * ROWS / DAYS * WIDTH < bytes_of(on_a_day) < 1.1 * ROWS / DAYS * WIDTH
    assert bytes_of("SELECT count(*) FROM `klaviyo`.`event`") == 0
    assert bytes_of("SELECT max(`number`) FROM `klaviyo`.`_loads`") == 10 * MB


def test_a_look_at_ten_million_events_that_have_news_costs_less_than_two_gigabytes(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "datetime": NOON.isoformat()}], spec=LARGE)
    warehouse.inspect([(LARGE, [])], now=NOON)
    load(warehouse, [{"id": "2", "datetime": NOON.isoformat()}], spec=LARGE)
    warehouse.sent.clear()
    warehouse.inspect([(LARGE, [])], now=NOON + HOUR)
    bills = [(bytes_of(text), text) for text, _ in warehouse.sent]
    assert sum(billed for billed, _ in bills) < 2 * GB, bills
