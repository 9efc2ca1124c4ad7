"""Comparing a table of the warehouse with what it must hold."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.warehouse.reader import Reader
from klaviyo_assets_tests.expected.rows import Expected, keyed
from klaviyo_assets_tests.expected.tables import MORE_TABLES, OPTIONAL_TABLES, TABLES, Table

ATTRIBUTION = "property_attribution"
"""Named like a property, but no property."""
SYSTEM = ("_fivetran_synced", "_fivetran_deleted")
HISTORY = {"account_history": "observed_at"}
"""Tables that keep what they held before: the column that says when a row was observed."""


def stored(warehouse: Reader, table: str) -> list[dict[str, Any]]:
    """Every row of a table, deleted ones included."""
    return warehouse.read(table).to_pylist()


def live(warehouse: Reader, table: str, key: Iterable[str]) -> Expected:
    names = tuple(key)
    rows = [row for row in stored(warehouse, table) if not row["_fivetran_deleted"]]
    found = keyed(rows, *names)
    assert len(found) == len(rows), f"{table} has a key twice"
    return found


def differences(
    account: Account,
    warehouse: Reader,
    table: str,
    key: Iterable[str],
    expected: Table | None = None,
) -> list[str]:
    """What is wrong with a table, in words; empty if it holds what the sandbox holds.

    Of a table that keeps its history, the latest rows are compared. `expected` says otherwise what the table must
    hold (`person_with_predictions`).
    """
    known = TABLES | MORE_TABLES | OPTIONAL_TABLES
    found = live(warehouse, table, key)
    if observed := HISTORY.get(table):
        found = latest(found, observed)
    return mismatches(table, (expected or known[table])(account), found)


def latest(rows: Expected, observed: str) -> Expected:
    """The latest row of every id."""
    return keyed(sorted(rows.values(), key=lambda row: row[observed]), "id")


def mismatches(table: str, expected: Expected, found: Expected) -> list[str]:
    """What is wrong with rows, in words."""
    wrong = [f"{table} lacks {k}" for k in expected.keys() - found.keys()]
    wrong += [f"{table} has {k}, which should be gone" for k in found.keys() - expected.keys()]
    for k in expected.keys() & found.keys():
        row, unexpected = expected[k], unexpected_columns(expected[k], found[k], HISTORY.get(table))
        wrong += [f"{table} {k}: {name} is {found[k][name]!r:.100}, should not be" for name in unexpected]
        for column, value in row.items():
            if column.endswith("_") and isinstance(value, dict):
                if problem := lost_properties(value, found[k], column):
                    wrong.append(f"{table} {k}: {problem}")
            elif column not in found[k]:
                wrong.append(f"{table} has no column {column}")
            elif not same(value, found[k][column]):
                wrong.append(f"{table} {k}: {column} is {found[k][column]!r}, should be {value!r}")
    return list(dict.fromkeys(wrong))


def unexpected_columns(expected: Mapping[str, Any], row: Mapping[str, Any], observed: str | None) -> list[str]:
    """Columns with a value that nothing is said of; `lost_properties` sees to those of properties."""
    prefixes = tuple(name for name, value in expected.items() if name.endswith("_") and isinstance(value, dict))
    known = {*expected, *SYSTEM, observed}
    return [
        name
        for name, cell in row.items()
        if cell is not None and name not in known and (name == ATTRIBUTION or not name.startswith(prefixes))
    ]


def same(value: Any, cell: Any) -> bool:
    """Whether a column holds a value of the API."""
    if value is None or value == "":
        return cell is None or cell == value
    if cell is None:
        return False
    if isinstance(cell, dt.datetime):
        try:
            moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
        except (ValueError, TypeError):
            return False
        return utc(moment) == utc(cell)
    if isinstance(cell, dt.date):
        return bool(cell == value or cell.isoformat() == value)
    if isinstance(cell, str) and not isinstance(value, str):
        try:
            found = json.loads(cell)
            return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)  # True equals 1
        except ValueError:
            return False
    if isinstance(cell, str) and isinstance(value, str) and cell != value:
        try:
            return dt.datetime.fromisoformat(cell) == dt.datetime.fromisoformat(value)
        except (ValueError, TypeError):
            return False
    if isinstance(cell, float) and isinstance(value, str):
        try:
            return float(value.replace(",", "")) == cell
        except ValueError:
            return False
    return bool(value == cell)


def utc(moment: dt.datetime) -> dt.datetime:
    """An aware datetime in UTC; one without a time zone is in UTC already."""
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def lost_properties(properties: Mapping[str, Any], row: Mapping[str, Any], prefix: str) -> str | None:
    """Match every property with a column of its own; say which has none, or which column has no property."""
    cells = {name: cell for name, cell in row.items() if name.startswith(prefix) and cell is not None}
    cells.pop(ATTRIBUTION, None)
    of: dict[str, str] = {}
    """Column -> the property that is in it."""

    def place(name: str, tried: set[str]) -> bool:
        """Find a column for a property, also one whose own property can be in another one."""
        free = next((c for c in cells if c not in of and alike(name, c) and same(properties[name], cells[c])), None)
        if free:
            of[free] = name
            return True
        fits = [c for c in cells if c not in tried and same(properties[name], cells[c])]
        for column in sorted(fits, key=lambda c: c in of):
            tried.add(column)
            if column not in of or place(of[column], tried):
                of[column] = name
                return True
        return False

    for name, value in properties.items():
        if value is None or (name == "$value" and value == ""):
            continue
        if not place(name, set()):
            return f"property {name!r} = {value!r:.100} is in no column"
    cells = {column: cell for column, cell in cells.items() if column not in of}
    empty = {name for name, cell in cells.items() if cell in ("",)}
    left = {name: cell for name, cell in cells.items() if name not in empty}
    if left:
        name = next(iter(left))
        return f"column {name} = {left[name]!r:.100} belongs to no property"
    return None


def alike(name: str, column: str) -> bool:
    letters = "".join(c for c in name.lower() if c.isalnum())
    return bool(letters) and letters in column.replace("_", "")
