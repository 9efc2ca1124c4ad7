"""A batch of rows, column by column, before it has types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


class Cells(dict[str, list[msgspec.Raw | bytes | None]]):
    """Columns that appear: asking for one that is not there yet makes it, empty."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows

    def __missing__(self, name: str) -> list[msgspec.Raw | bytes | None]:
        cells = self[name] = [None] * self._rows
        return cells


@dataclass
class Columns:
    """One batch of rows as columns; every list has `rows` items.

    declared: declared column -> Python values, None for NULL. TIMESTAMP columns take ISO text, datetimes
        or epoch seconds; JSON columns take anything that JSON can hold, or `msgspec.Raw` JSON text.
    dynamic: appearing column -> the JSON text of each value, None where the row has none.
    """

    rows: int
    declared: dict[str, list[Any]] = field(default_factory=dict)
    dynamic: dict[str, list[msgspec.Raw | bytes | None]] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Columns:
        """Pivot rows to the declared columns `names`; a row without a column has NULL there."""
        return cls(len(rows), {name: [row.get(name) for row in rows] for name in names})


Batch = Mapping[str, Columns]
"""Name of a spec -> columns of its rows."""
