"""The order of reads and loads: numbers that the warehouse counts up, so that no clock says what is newer.

A read takes a number when it begins, a load when it writes. `_loads` holds the latest of them, each load with the
number of its read and with the `_fivetran_synced` of the rows that it wrote, which no other load shares. What changes
only some columns of rows has a stamp for each read that they come from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from klaviyo_assets.schema.spec import SYNCED, Type
from klaviyo_assets.warehouse.errors import OutdatedRead
from klaviyo_assets.warehouse.session import RESTAMPED, RESTAMPED_TYPES
from klaviyo_assets.warehouse.sql import literal, quote
from klaviyo_assets.warehouse.steps.states import read_states
from klaviyo_assets.warehouse.transaction import Transaction

LOADS_TABLE = "_loads"
_COLUMNS = {
    "number": Type.BIGINT,
    "table": Type.TEXT,
    "read_number": Type.BIGINT,
    "synced_at": Type.TIMESTAMP,
}

KEPT = 10_000
"""Numbers that are remembered: of more than a week of hourly syncs. A read that began before them is out of date."""

NO_READ = 0
"""Read number of what was written without a read."""

_TICK = dt.timedelta(microseconds=1)
_SECOND = dt.timedelta(seconds=1)


def ensure_loads(transaction: Transaction) -> None:
    """Create `_loads` if it is not there."""
    transaction.create(LOADS_TABLE, _COLUMNS, key=list(_COLUMNS))


def newest_number(transaction: Transaction) -> int:
    """Return the highest number that was taken, 0 if none was.

    The states know numbers, too. If they know a higher one, `_loads` was emptied or replaced: then so many count as
    taken that none from before, also of a read that has no state yet, is taken for remembered.
    """
    if transaction.newest_number is None:
        recorded = _recorded(transaction)
        stated = max((state.read_number or 0 for state in read_states(transaction).values()), default=0)
        transaction.newest_number = recorded if recorded >= stated else stated + 2 * KEPT
    return transaction.newest_number


def _recorded(transaction: Transaction) -> int:
    if not transaction.column_types(LOADS_TABLE):
        return 0
    number: int = transaction.value(f"SELECT coalesce(max(number), 0) FROM {transaction.table(LOADS_TABLE)}")
    return number


def _next_number(transaction: Transaction) -> int:
    transaction.newest_number = newest_number(transaction) + 1
    return transaction.newest_number


def take_number(transaction: Transaction) -> int:
    """Return a number for a read that begins now; forget those that are too old to matter."""
    number = _next_number(transaction)
    transaction.insert(LOADS_TABLE, ["number"], [(number,)])
    transaction.delete(LOADS_TABLE, "number <= ?", [number - KEPT])
    return number


def record(transaction: Transaction, table: str, read_number: int) -> None:
    """Remember that this transaction has written rows of a table, from the read of a number.

    Where rows are there at once it comes before them: no row may ever have a stamp that nobody knows.
    """
    if (table, read_number) in transaction.recorded:
        return
    transaction.recorded.add((table, read_number))
    row = (_next_number(transaction), table, read_number, transaction.stamp)
    transaction.insert(LOADS_TABLE, list(_COLUMNS), [row])


@dataclass
class Restamping:
    """New stamps.

    sql: the one of a row that is called `own`. rows: how many have got one, which the user tells. remember: stores
    which are used in a relation; called before rows are written that are there at once.
    """

    sql: str
    remember: Callable[[str], None]
    rows: int = 0


@contextmanager
def restamping(transaction: Transaction, table: str) -> Iterator[Restamping]:
    """Give new stamps for rows of which only some columns change; then remember those used.

    Such a change is no read of the row: with one stamp for all of them nobody would know any more which read a row
    comes from, and an older one that loads later could undo it.
    """
    first = unused_stamp(transaction, transaction.stamp)
    transaction.scratch(RESTAMPED, RESTAMPED_TYPES)
    stamp = transaction.dialect.later("CAST(? AS TIMESTAMP)", "dense_rank() OVER (ORDER BY read_number)")
    transaction.change(
        f"INSERT INTO {RESTAMPED} "
        f"SELECT synced_at, read_number, {stamp} FROM {read_numbers(transaction, table)} AS loads",
        [first],
    )
    transaction.change(f"INSERT INTO {RESTAMPED} VALUES (NULL, ?, ?)", [NO_READ, first])
    known = transaction.dialect.looked_up(RESTAMPED, "was", "stamp", quote("own", SYNCED.name))
    remember = partial(_remember, transaction, table, first)
    stamps = Restamping(f"coalesce({known}, TIMESTAMP {literal(str(first))})", remember)
    yield stamps
    if stamps.rows and transaction.dialect.capabilities.transactions:
        stamps.remember(transaction.table(table))
    transaction.session.unscratch(RESTAMPED)


def _remember(transaction: Transaction, table: str, first: dt.datetime, written: str) -> None:
    synced, last = quote(SYNCED.name), f"(SELECT max(stamp) FROM {RESTAMPED})"
    used = f"SELECT {synced} FROM {written} WHERE {synced} BETWEEN ? AND {last}"
    transaction.insert_from(
        LOADS_TABLE,
        list(_COLUMNS),
        f"SELECT DISTINCT CAST(? AS BIGINT), CAST(? AS VARCHAR), read_number, stamp FROM {RESTAMPED} "
        f"WHERE stamp IN ({used})",
        [_next_number(transaction), table, first],
    )


def unused_stamp(transaction: Transaction, now: dt.datetime) -> dt.datetime:
    """Return `now`, or the next microsecond that stamps no other load: clocks can be set back. Both without zone."""
    last = transaction.value(
        f"SELECT max(synced_at) FROM {transaction.table(LOADS_TABLE)} WHERE synced_at >= ? AND synced_at < ?",
        [now, now + _SECOND],
    )
    return last + _TICK if last else now


def written_since(transaction: Transaction, table: str, began: int) -> str:
    """Return the condition that a row was written after the read `began` had begun."""
    return _among(_stamps(transaction, table, "number > ?", began))


def written_by_later_read(transaction: Transaction, table: str, began: int) -> str:
    """Return the condition that what wrote a row was read after the read `began` had begun."""
    return _among(_stamps(transaction, table, "read_number > ?", began))


def read_numbers(transaction: Transaction, table: str) -> str:
    """Return the relation of the stamps of a table's loads, `synced_at`, with the numbers of their reads."""
    if not transaction.column_types(LOADS_TABLE):
        return "(SELECT CAST(NULL AS TIMESTAMP) AS synced_at, CAST(NULL AS BIGINT) AS read_number)"
    return (
        f"(SELECT synced_at, max(read_number) AS read_number FROM {transaction.table(LOADS_TABLE)} "
        f'WHERE "table" = {literal(table)} GROUP BY synced_at)'
    )


def is_remembered(transaction: Transaction, number: int) -> bool:
    """Return whether all is known that was written since a number was taken."""
    newest = newest_number(transaction)
    return _oldest(newest) <= number <= newest


def oldest_remembered(transaction: Transaction) -> int:
    """Return the lowest number since which all is known that was written."""
    return _oldest(newest_number(transaction))


def _oldest(newest: int) -> int:
    return max(newest - KEPT, NO_READ)


def _stamps(transaction: Transaction, table: str, condition: str, began: int) -> list[dt.datetime]:
    if not is_remembered(transaction, began):
        raise OutdatedRead(table, began, newest_number(transaction))
    found = transaction.sql(
        f'SELECT synced_at FROM {transaction.table(LOADS_TABLE)} WHERE "table" = ? AND {condition}', [table, began]
    )
    return [stamp for (stamp,) in found]


def _among(stamps: list[dt.datetime]) -> str:
    if not stamps:
        return "false"
    among = ", ".join(f"TIMESTAMP {literal(str(stamp))}" for stamp in stamps)
    return f"({quote(SYNCED.name)} IS NOT NULL AND {quote(SYNCED.name)} IN ({among}))"
