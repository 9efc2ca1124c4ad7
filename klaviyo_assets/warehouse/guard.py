"""The guard against bad reads: flags that look suspicious wait; whatever else a load brings lands.

A complete read that lacks more live rows than `delete_guard` allows may be a bad answer. Its own rows are written all
the same. Those that it lacks are noted in a table, each with the time from which on it was missed: few of them are
flagged once a complete read hours later lacks them too, many only if somebody says so. A row that comes back, or is
flagged, is no longer noted.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from klaviyo_assets.schema.spec import TableSpec

FEW_WAIT = 100
"""Rows of a table up to which a second complete read settles it; if more wait, somebody has to say so."""


SETTLED_AFTER = dt.timedelta(hours=6)
"""How much later the second complete read has to be: by then a bad answer of Klaviyo's is a good one again."""


FEW_ROWS = 10
"""A child table (a key of foreign keys), or a part of a table, may lose so many rows without anybody asking why."""


@dataclass(frozen=True)
class Waiting:
    """Rows that a complete read lacks and that are not flagged.

    live: rows that it should have returned. rows: those that wait.
    suspicious: whether it lacks more than the guard allows; else the source was not asked for each of them.
    settles: whether a second complete read can settle it.
    """

    live: int
    rows: int
    suspicious: bool
    settles: bool


def is_suspicious(spec: TableSpec, *, live: int, going: int, guard: float) -> bool:
    """Return whether too many live rows would be flagged as deleted.

    live: live rows now. going: those of them that a complete read did not return.
    guard: share of `live` that may go. Rows of child tables (their key contains a foreign key) come and go with
        settings of their parents, so a few of them may always go.
    """
    few_may_go = bool({key.column for key in spec.foreign_keys} & set(spec.primary_key)) or spec.partitioned_by
    return bool(going and going > guard * live and not (few_may_go and going <= FEW_ROWS))
