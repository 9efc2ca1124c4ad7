"""Which partitions of a table have rows with the keys that are staged.

Every partition that a statement looks at is billed, with all of its columns if it is changed. A row may have moved to
another day since it was written. So its key is looked for in all of them, which costs two columns; what comes after it
looks only where it was found.

https://cloud.google.com/bigquery/docs/querying-partitioned-tables#prune_partitions
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER
from klaviyo_assets.warehouse.session import STAGE
from klaviyo_assets.warehouse.sql import quote, same_key

_DAY = dt.timedelta(days=1)
_MOST_RANGES = 100


@dataclass(frozen=True)
class Days:
    """Days in which there are rows with the keys of `STAGE`. None: rows without a time.

    before, after: until the rows of `STAGE` are written, and once they are: they may move to other days.
    """

    before: Set[dt.date | None]
    after: Set[dt.date | None]


def found(session: BigQueryCatalog, schema: str, spec: TableSpec, *, moves: bool) -> Days | None:
    """Look for the rows with the keys of `STAGE`; return None if the table has no partitions of a day.

    moves: whether `STAGE` has the column by which the table is partitioned.
    """
    column, table = spec.partitioned_by, session.described(schema, spec.name)
    if not column or table is None or table.time_partitioning is None or table.time_partitioning.field != column:
        return None
    later = quote("new" if moves else "own", column)
    rows = session.sql(
        f"SELECT DISTINCT CAST({quote('own', column)} AS DATE), CAST({later} AS DATE) "
        f"FROM {session.name(schema, spec.name)} AS own "
        f"JOIN {STAGE} AS new ON {same_key('own', 'new', spec.primary_key)}"
    )
    before = {day for day, _ in rows}
    return Days(before, before | {day for _, day in rows})


def condition(column: str, native: str, days: Iterable[dt.date | None]) -> str:
    """Return the condition that a row is in the partitions of days. column: quoted, of a native type.

    It compares the column itself with constants, by which partitions are chosen. Where there are too many ranges of
    days, the smallest gaps are filled.
    """
    chosen = set(days)
    ranges = _ranges(sorted(day for day in chosen if day))
    conditions = [
        f"({column} >= {native} '{first}'"
        + ("" if last == dt.date.max else f" AND {column} < {native} '{last + _DAY}'")
        + ")"
        for first, last in ranges
    ]
    conditions += [f"{column} IS NULL"] if None in chosen else []
    if not conditions:
        return NEVER
    return f"({' OR '.join(conditions)})"


def pieces(column: str, native: str, splits: Sequence[dt.date]) -> list[str]:
    """Return the conditions of parts of rows, each until before the next of some days. column: quoted."""
    if not splits:
        return [ALWAYS]
    bounds = [f"{native} '{day}'" for day in splits]
    between = [f"{column} >= {first} AND {column} < {last}" for first, last in pairwise(bounds)]
    return [f"({column} < {bounds[0]} OR {column} IS NULL)", *between, f"{column} >= {bounds[-1]}"]


def _ranges(days: list[dt.date]) -> list[tuple[dt.date, dt.date]]:
    gaps = sorted((later - day for day, later in pairwise(days)), reverse=True)
    longest = max(_DAY, gaps[_MOST_RANGES - 1] if len(gaps) >= _MOST_RANGES else _DAY)
    ranges: list[tuple[dt.date, dt.date]] = []
    for day in days:
        if ranges and day - ranges[-1][1] <= longest:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
