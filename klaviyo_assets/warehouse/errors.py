"""What can go wrong with a warehouse, in words that say what to do."""

from __future__ import annotations

import errno
import re

_FULL = re.compile("No space left|File too large|quota exceeded", re.IGNORECASE)
_NAMED = re.compile(r'^(?:(?:Cannot|Could not) [a-z ]+ (?:"[^"]*"|it): |The file (?:"[^"]*"|it) exists, but )')
_FULL_NUMBERS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class WarehouseError(Exception):
    """Base of the errors below. The destination is as it was before."""


class WarehouseLocked(WarehouseError):
    """Another process holds the database file and did not let go in time."""


class SnapshotMissing(WarehouseError):
    """There is no complete snapshot to publish."""


class SuspiciousSnapshot(WarehouseError):
    """Publishing would flag a suspicious share of the table as deleted."""


class WarehouseUnusable(WarehouseError):
    """The database can't be opened: it may not be written, a newer DuckDB wrote it, or it is none."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason

    def __str__(self) -> str:
        if "newer version" in self.reason:
            advice = "Upgrade duckdb here (`pip install --upgrade duckdb`), or set `duckdb_path` to another file."
        elif "Permission denied" in self.reason or "Read-only" in self.reason:
            advice = "A sync writes: give its user the right to write the file and its folder."
        else:
            advice = "Check the setting `duckdb_path`."
        return f"{self.database} can't be opened: {_plain(self.reason)}. {advice}"


class DiskFull(WarehouseError):
    """There is no room left for the database or for the rows on their way to it."""

    def __init__(self, place: str, advice: str) -> None:
        super().__init__(place, advice)
        self.place = place
        self.advice = advice

    def __str__(self) -> str:
        return f"There is no room left for {self.place}: nothing was written. {self.advice}"


def _plain(reason: str) -> str:
    """Return DuckDB's words without the file's name, which is said before, and without its punctuation."""
    reason = _NAMED.sub("", reason).rstrip(" .!")
    return reason[:1].lower() + reason[1:]


def is_full(error: Exception) -> bool:
    """Return whether an error says that a disk, a quota or a limit on files is used up."""
    return getattr(error, "errno", None) in _FULL_NUMBERS or bool(_FULL.search(str(error)))
