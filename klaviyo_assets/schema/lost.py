"""What could not be kept: values that don't fit, counted by field, with the ids of some of their rows.

And what else a read has to say of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

MOST_EXAMPLES = 3
MOST_FIELDS = 50
UNIDENTIFIED, UNDESCRIBED = "data", "attributes"
"""The fields that resources without an id, or without any attributes, are counted as: they make no rows."""

_LONGEST_ID = 60
_REMEMBERED = 10_000


class Lost(dict[str, int]):
    """Field -> the number of its values that were lost; `str` also names some of their rows.

    The fields are bounded in number, as the examples are: the values of more are counted as those of `...`.

    remarks: sentences about the read, whether or not values were lost. partial: it left out what may be there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.remarks: list[str] = []
        self.partial = False
        self._examples: dict[str, list[str]] = {}
        self._noted: set[tuple[str | None, str]] = set()

    def add(self, field: str, keys: Sequence[str | None]) -> None:
        """Count a value for each key of a row; None: the row has none."""
        if field not in self and len(self) >= MOST_FIELDS and field not in (UNIDENTIFIED, UNDESCRIBED):
            field = "..."
        self[field] = self.get(field, 0) + len(keys)
        examples = self._examples.setdefault(field, [])
        for key in keys:
            if len(examples) < MOST_EXAMPLES and key and key[:_LONGEST_ID] not in examples:
                examples.append(key[:_LONGEST_ID])

    def note(self, id: str | None, field: str) -> None:
        """Count one value of the resource `id`, though several columns need it or it comes again."""
        if id is not None and (id, field) in self._noted:
            return
        if len(self._noted) < _REMEMBERED:
            self._noted.add((id, field))
        self.add(field, [id])

    def __str__(self) -> str:
        return ", ".join(map(self._described, self))

    def _described(self, field: str) -> str:
        count, named = self[field], self._examples[field]
        ids = f"; id {', '.join(named)}{', ...' if count > len(named) else ''}" if named else ""
        return f"{field} ({count:,} {'value' if count == 1 else 'values'}{ids})"


class Recorded(Lost):
    """Remembers what it is told, word by word, for another `Lost` to be told the same.

    For one that lives in another process: what it counts of a value that comes again depends on all of the read.
    """

    def __init__(self) -> None:
        super().__init__()
        self._added: list[tuple[str, tuple[str | None, ...]]] = []
        self._told: list[tuple[str | None, str]] = []

    def add(self, field: str, keys: Sequence[str | None]) -> None:
        """Remember it."""
        self._added.append((field, tuple(keys)))

    def note(self, id: str | None, field: str) -> None:
        """Remember it."""
        self._told.append((id, field))

    def tell(self, other: Lost) -> None:
        """Tell another one all that this one was told."""
        for field, keys in self._added:
            other.add(field, keys)
        for id, field in self._told:
            other.note(id, field)
        other.remarks += self.remarks
        other.partial |= self.partial


_noting: ContextVar[Lost | None] = ContextVar("lost", default=None)


@contextmanager
def noting(lost: Lost | None = None) -> Iterator[Lost]:
    """Collect what `note` is told meanwhile, by this thread and by those that run in a copy of its context."""
    lost = Lost() if lost is None else lost
    token = _noting.set(lost)
    try:
        yield lost
    finally:
        _noting.reset(token)


def note(id: str | None, field: str) -> None:
    """Tell who is `noting` that the field of a resource has a value that no column can hold."""
    lost = _noting.get()
    if lost is not None:
        lost.note(id, field)


def remark(sentence: str, *, partial: bool = False) -> None:
    """Tell who is `noting` something about the read. partial: that it leaves out what may be there."""
    lost = _noting.get()
    if lost is not None:
        lost.remarks.append(sentence)
        lost.partial |= partial
