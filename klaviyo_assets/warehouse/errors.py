"""What can go wrong with a warehouse, in words that say what to do."""

from __future__ import annotations

import errno
import re

_FULL = re.compile("No space left|File too large|quota exceeded", re.IGNORECASE)
_FULL_NUMBERS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class WarehouseError(Exception):
    """Base of the errors below. The destination is as it was before."""


class WarehouseLocked(WarehouseError):
    """Another process holds the database file and did not let go in time."""


class SnapshotMissing(WarehouseError):
    """There is no complete snapshot to publish."""


class OutdatedRead(WarehouseError):
    """Since a read began so much was written that nobody knows what is newer, or the warehouse was replaced."""

    def __init__(self, table: str, began: int, newest: int) -> None:
        super().__init__(table, began, newest)
        self.table, self.began, self.newest = table, began, newest

    def __str__(self) -> str:
        return (
            f"What was read of {self.table} is too old to be written: its read has the number {self.began:,}, and the "
            f"warehouse is at {self.newest:,} by now. Run it again."
        )


class AnotherAccount(WarehouseError):
    """The warehouse holds another account. known, ours: names and ids of the two."""

    def __init__(self, place: str, known: str, ours: str) -> None:
        super().__init__(place, known, ours)
        self.place, self.known, self.ours = place, known, ours

    def __str__(self) -> str:
        return f"{self.place} holds the account {self.known}, not {self.ours}. Nothing was written."


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
        return f"{self.database} can't be opened: {self.reason} {advice}"


class DiskFull(WarehouseError):
    """There is no room left for the database or for the rows on their way to it."""

    def __init__(self, place: str, advice: str) -> None:
        super().__init__(place, advice)
        self.place = place
        self.advice = advice

    def __str__(self) -> str:
        return f"There is no room left for {self.place}: nothing was written. {self.advice}"


def is_full(error: Exception) -> bool:
    """Return whether an error says that a disk, a quota or a limit on files is used up."""
    return getattr(error, "errno", None) in _FULL_NUMBERS or bool(_FULL.search(str(error)))
