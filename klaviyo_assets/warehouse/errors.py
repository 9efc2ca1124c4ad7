"""What can go wrong with a warehouse: facts. What to do about it, `assets.advice` adds, which knows the settings."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

_FULL = re.compile("No space left|File too large|quota exceeded", re.IGNORECASE)
_VIOLATION = re.compile(r"(?:Constraint Error|Failed to commit): (.*constraint.*|Duplicate key.*)", re.DOTALL)
_KEY = re.compile(r""" ?(because key )?"[^"]*: .*"|: duplicate key ".*"|\nLINE .*""", re.DOTALL)
_CAUSE = re.compile(r" \(Error: .*\)(?=$|\.)", re.DOTALL)
_CONVERSION = re.compile(
    r"(?:Conversion Error: |Out of Range Error: |Failed to commit: (?=Could not convert|Overflow))(.*)", re.DOTALL
)
_CALCULATED = re.compile(r"\([^()]*\)")
_NAMED = re.compile(r'^(?:(?:Cannot|Could not) [a-z ]+ (?:"[^"]*"|it): |The file (?:"[^"]*"|it) exists, but )')
_QUOTED = re.compile("""['"].*['"]""", re.DOTALL)
_FULL_NUMBERS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def without_values(message: str) -> str:
    """Return what a database says without what it quotes: a value may have quotes, so up to the last of them."""
    return _QUOTED.sub("***", message)


class WarehouseError(Exception):
    """Base of the errors below. The warehouse is as it was before.

    advice: what to do about it.
    """

    advice = ""

    def __str__(self) -> str:
        return f"{self.fact()} {self.advice}".rstrip()

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return super().__str__()


class WarehouseLocked(WarehouseError):
    """Another process holds the database, or what is needed in it, and did not let go in time."""


class SnapshotMissing(WarehouseError):
    """There is no complete snapshot of a table to publish."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"There is no snapshot of {self.table} yet."


class OutdatedRead(WarehouseError):
    """Since a read began so much was written that nobody knows what is newer, or the warehouse was replaced."""

    def __init__(self, table: str, began: int, newest: int) -> None:
        super().__init__(table, began, newest)
        self.table, self.began, self.newest = table, began, newest

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return (
            f"What was read of {self.table} is too old to be written: its read has the number {self.began:,}, and the "
            f"warehouse is at {self.newest:,} by now. Run it again."
        )


class AnotherAccount(WarehouseError):
    """The warehouse holds another account. known, ours: names and ids of the two."""

    def __init__(self, place: str, known: str, ours: str) -> None:
        super().__init__(place, known, ours)
        self.place, self.known, self.ours = place, known, ours

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"{self.place} holds the account {self.known}, not {self.ours}. Nothing was written."


class WarehouseUnusable(WarehouseError):
    """The database can't be opened or written: rights are missing, a newer version wrote it, or there is none."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"{self.database} can't be opened: {_plain(self.reason)}."


class ColumnFixed(WarehouseError):
    """A column has to get a wider type, and something that depends on it forbids that."""

    def __init__(self, table: str, column: str, existing: str, target: str, dependents: Sequence[str]) -> None:
        super().__init__(table, column, existing, target, tuple(dependents))
        self.table = table
        self.column = column
        self.existing = existing
        self.target = target
        self.dependents = dependents

    def fact(self) -> str:
        """Return what went wrong, in words."""
        what = ", ".join(self.dependents) or "a constraint, a view or a generated column"
        return (
            f"{self.table}.{self.column} is {self.existing} and has to become {self.target}, to hold what came. The "
            f"database does not change it because of what depends on the table: {what}. Drop that, and make it again "
            "later."
        )


class ColumnGenerated(ColumnFixed):
    """A column has to hold what came, and the database computes its values."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(table, column, "", "", ())
        self.args = table, column

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"{self.table}.{self.column} is a generated column, which can't hold what came. Drop or rename it."


class ConnectionLost(WarehouseError):
    """The server, or the way to it, went away. committing: while a transaction was being committed."""

    def __init__(self, place: str, reason: str, *, committing: bool) -> None:
        super().__init__(place, reason, committing)
        self.place = place
        self.reason = reason
        self.committing = committing

    def fact(self) -> str:
        """Return what went wrong, in words."""
        written = "nobody knows whether the last rows were written" if self.committing else "nothing was written"
        return (
            f"The connection to {self.place} was lost, and {written}: {_plain(self.reason)}. Run it again, which "
            "doubles no row."
        )


class ViewInPlace(WarehouseError):
    """A view has the name of a table that is to be read or written here. view: with its schema."""

    def __init__(self, view: str) -> None:
        super().__init__(view)
        self.view = view

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"{self.view} is a view, where a table has to be. Nothing was written. Drop or rename the view."


class ForeignTable(WarehouseError):
    """A snapshot, which replaces what is there, would be where somebody else's table is. table: with its schema."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"{self.table} is no snapshot of ours, and one would replace it. Nothing was written."


class ConstraintViolated(WarehouseError):
    """A constraint or a unique index that the user has put on a table refuses the rows."""

    def __init__(self, schema: str, reason: str) -> None:
        super().__init__(schema, reason)
        self.schema = schema
        self.reason = reason

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return (
            f"A constraint on a table of {self.schema} refuses the rows, so nothing was written: {self.reason} "
            "Drop it, or give a column of your own that is NOT NULL a DEFAULT."
        )


def violation(error: Exception) -> str | None:
    """Return which constraint an error of DuckDB's speaks of, without the values of rows; None if of none."""
    found = _VIOLATION.search(str(error))
    if found is None:
        return None
    told = _CAUSE.sub("", _KEY.sub("", found.group(1)))
    return told.replace('"', "").strip().rstrip(".") + "."


def conversion(error: Exception) -> str | None:
    """Return what an error of DuckDB's says of a value that is none of a type, without the value; None if of none."""
    found = _CONVERSION.search(str(error))
    return _CALCULATED.sub("(***)", without_values(found.group(1).partition("\n")[0])).rstrip(".") if found else None


class DiskFull(WarehouseError):
    """There is no room left for the database or for the rows on their way to it."""

    def __init__(self, place: str, advice: str) -> None:
        super().__init__(place, advice)
        self.place = place
        self.advice = advice

    def fact(self) -> str:
        """Return what went wrong, in words."""
        return f"There is no room left for {self.place}: nothing was written."


class SpoolFull(WarehouseError):
    """The rows on their way to the warehouse take as much room as they may, or there is less."""

    def __init__(self, folder: str, limit: int, free: int | None = None) -> None:
        super().__init__(folder, limit, free)
        self.folder, self.limit, self.free = folder, limit, free

    def fact(self) -> str:
        """Return what went wrong, in words."""
        limit = f"{self.limit / 1e6:,.1f} MB"
        if self.free is None:
            return f"The rows that were read take more than {limit} in {self.folder}. Nothing was written."
        free = f"{self.free / 1e6:,.1f} MB"
        return f"{free} are free in {self.folder}, and a step may spool up to {limit} there. Nothing was read."


def _plain(reason: str) -> str:
    """Return DuckDB's words without the file's name, which is said before, and without its punctuation."""
    reason = _NAMED.sub("", reason).rstrip(" .!")
    return reason[:1].lower() + reason[1:]


def is_full(error: Exception) -> bool:
    """Return whether an error says that a disk, a quota or a limit on files is used up."""
    return getattr(error, "errno", None) in _FULL_NUMBERS or bool(_FULL.search(str(error)))
