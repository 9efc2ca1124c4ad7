"""How far a table is synced, in parts: the rows of `_sync_state`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

SNAPSHOT = "snapshot"
"""Scope of the state of a table's snapshot."""

WAITING = "waiting"
"""Scope of the state that says how many rows of a table wait (`rows`), and since when (`synced_through`)."""

INSPECTED, INSPECTED_WHOLLY = "inspected", "inspected_wholly"
"""Scopes of the states of a table's last inspection, with its live rows, and of the last one that saw every row."""

CONTENT, SNAPSHOT_CONTENT = "content", "snapshot_content"
"""Scopes of the states that know, as `fingerprint`, what a table held when its snapshot was last published, and what
the snapshot held when it was stored."""

PRIVACY = "privacy"
"""Scope of the state that says that a table holds nothing that the policy with its `fingerprint` would hide."""

FINGERPRINTED = (PRIVACY, CONTENT, SNAPSHOT_CONTENT)
"""Scopes of the states that have a fingerprint."""

RANGE = "range"
"""Beginning of the scopes of ranges of time that have been read, and that the table's own state does not touch yet."""


_FIRST = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class SyncState:
    """How far a scope of a table is synced; a row of `_sync_state`.

    scope: "" for the table as a whole, else a part of it (`snapshot`).
    synced_from, synced_through: UTC, by the source's clock; everything from the one (None: from the beginning) until
        before the other has been read. The latter is the watermark. Of a complete read, or of a part of a table, it is
        the time of the read.
    complete: whether the scope was read completely, from its beginning to its end.
    stored_at: when this was stored, by the clock of the machine that did; the column `synced_at`.
    read_number: of the read that it speaks of.
    fingerprint: of the policy that a `PRIVACY` state speaks of, of what a table holds in a state of `CONTENT`. Its row
        has it in the column `run_id`.
    extends: this is no watermark: unless it touches what is stored already, it is a range of its own.
    """

    table: str
    scope: str = ""
    synced_from: dt.datetime | None = None
    synced_through: dt.datetime | None = None
    complete: bool = False
    rows: int | None = None
    run_id: str | None = None
    stored_at: dt.datetime | None = None
    read_number: int | None = None
    extends: bool = False
    fingerprint: str | None = None

    def covers(self, start: dt.datetime, end: dt.datetime) -> bool:
        """Return whether all of [start, end) has been read."""
        if self.synced_through is None or self.synced_through < end:
            return False
        return self.synced_from is None or self.synced_from <= start

    def contains(self, other: SyncState) -> bool:
        """Return whether all of another range has been read."""
        if other.synced_through is None:
            return True
        if other.synced_from is None:
            return self.synced_from is None and self.covers(other.synced_through, other.synced_through)
        return self.covers(other.synced_from, other.synced_through)

    def after(self, before: SyncState | None) -> SyncState | None:
        """Return what is known once this is added to what was known before; None: nothing new.

        The end of a range never moves backwards, nor across a gap that nobody has read. Of two moments that of the
        later read counts.
        """
        if before is None or before.synced_through is None:
            return None if self.extends else self
        if self.complete or self.scope:
            return self if (self.read_number or 0) >= (before.read_number or 0) else None
        if self.synced_through is None:
            return None
        if self.synced_from and self.synced_from > before.synced_through:
            return None
        if before.synced_from and self.synced_through < before.synced_from:
            return None
        starts = (self.synced_from, before.synced_from)
        return replace(
            self,
            synced_from=None if None in starts else min(start for start in starts if start),
            synced_through=max(self.synced_through, before.synced_through),
            rows=max(self.rows or 0, before.rows or 0) or self.rows,  # the latest number, which no load makes smaller
        )

    @property
    def is_range(self) -> bool:
        """Return whether this is a range of time that has been read, of the table as a whole."""
        return (not self.scope or self.scope.startswith(RANGE)) and not self.complete


def joined(known: Iterable[SyncState], new: SyncState) -> list[SyncState]:
    """Return the ranges of a table that have been read, once one is added: those that touch are one.

    The table's own state, with the scope "", has the watermark. It takes in what it touches; others wait for that.
    """
    ranges = {state.scope: state for state in known}
    before = ranges.pop("", None)
    own = new.after(before) or before
    apart = [*ranges.values(), *([] if own and own.contains(new) else [new])]
    merged: list[SyncState] = []
    for each in sorted(apart, key=lambda state: (state.synced_from or _FIRST, state.read_number or 0)):
        each = replace(each, scope="", extends=False)
        longer = each.after(merged[-1]) if merged else None
        merged = [*merged[:-1], longer] if longer else [*merged, each]
    for each in reversed(merged):  # the newest first: once own has taken it in, it may touch the next
        longer = each.after(own)
        if own and longer:
            own = replace(own, synced_from=longer.synced_from, synced_through=longer.synced_through, rows=longer.rows)
    left = [each for each in merged if not (own and own.contains(each))]
    named = [replace(each, scope=f"{RANGE} {each.synced_from or _FIRST:%Y-%m-%dT%H:%M:%S.%f}") for each in left]
    return [own, *named] if own else named


States = Mapping[tuple[str, str], SyncState]
"""Table and scope -> what is known of it."""


def is_read(states: States, table: str, start: dt.datetime, end: dt.datetime) -> bool:
    """Return whether all of [start, end) of a table has been read."""
    return any(state.table == table and state.is_range and state.covers(start, end) for state in states.values())


def with_rows(states: States, table: str) -> SyncState | None:
    """Return the state of a table that says how many rows it has: the latest number is the largest."""
    own = states.get((table, ""))
    ranges = [state for state in states.values() if state.table == table and state.is_range]
    return max([*([own] if own else []), *ranges], key=lambda state: state.rows or 0, default=None)
