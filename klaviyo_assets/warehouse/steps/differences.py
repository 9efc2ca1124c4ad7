"""Where the numbers of rows of a table differ from those of its source, and how often such a day has been read since.

A load that reads a day from its beginning to its end takes note of it in its own transaction: so only re-reads count
that ended well, whoever asked for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.extract import Coverage
from klaviyo_assets.warehouse.results import Difference
from klaviyo_assets.warehouse.sql import column_list
from klaviyo_assets.warehouse.transaction import Transaction, naive

DIFFERENCES_TABLE = "_differences"
_DAY = dt.timedelta(days=1)
_COLUMNS = {
    "table": Type.TEXT,
    "day": Type.DATE,
    "group": Type.TEXT,
    "theirs": Type.BIGINT,
    "ours": Type.BIGINT,
    "reads": Type.BIGINT,
    "wanted": Type.BOOLEAN,
}


def store(
    transaction: Transaction, table: str, found: Iterable[Difference], is_wanted: Callable[[Difference], bool]
) -> list[Difference]:
    """Replace what is known of a table's differences; return them with the reads that are remembered.

    A difference whose numbers have changed since is a new one. is_wanted: whether one, reads included, is to be read
    again.
    """
    transaction.create(DIFFERENCES_TABLE, _COLUMNS, key=["table", "day", "group"])
    name = transaction.table(DIFFERENCES_TABLE)
    before = {
        (day, group, theirs, ours): reads
        for day, group, theirs, ours, reads in transaction.sql(
            f'SELECT {column_list(("day", "group", "theirs", "ours", "reads"))} FROM {name} WHERE "table" = ?', [table]
        )
    }
    counted = [replace(each, reads=before.get((each.day, each.group, each.theirs, each.ours), 0)) for each in found]
    stored = [replace(each, wanted=is_wanted(each)) for each in counted]
    forget(transaction, [table])
    rows = [(table, each.day, each.group, each.theirs, each.ours, each.reads, each.wanted) for each in stored]
    transaction.insert(DIFFERENCES_TABLE, list(_COLUMNS), rows)
    return stored


def count_read(transaction: Transaction, table: str, coverage: Coverage | None) -> None:
    """Take note that the days of a coverage have been read completely."""
    if (
        coverage is None
        or coverage.start is None
        or coverage.end is None
        or not transaction.column_types(DIFFERENCES_TABLE)
    ):
        return
    transaction.update(
        DIFFERENCES_TABLE,
        {"reads": "reads + 1", "wanted": "false"},
        '"table" = ? AND CAST("day" AS TIMESTAMP) >= ? AND CAST("day" AS TIMESTAMP) <= ?',
        [table, naive(coverage.start), naive(coverage.end - _DAY)],
    )


def wanted_days(transaction: Transaction, table: str) -> list[dt.date]:
    """Return the days of a table that are to be read again, oldest first."""
    if not transaction.column_types(DIFFERENCES_TABLE):
        return []
    found = transaction.sql(
        f'SELECT DISTINCT "day" FROM {transaction.table(DIFFERENCES_TABLE)} WHERE "table" = ? AND wanted ORDER BY 1',
        [table],
    )
    return [day for (day,) in found]


def forget(transaction: Transaction, tables: Sequence[str]) -> None:
    """Remove the differences of tables."""
    if transaction.column_types(DIFFERENCES_TABLE):
        for table in tables:
            transaction.delete(DIFFERENCES_TABLE, '"table" = ?', [table])
