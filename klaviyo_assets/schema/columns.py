"""A batch of rows, column by column, before it has types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Texts = list[msgspec.Raw | bytes | None]
"""The JSON text of each value of a column, None where a row has none."""


class Sparse(NamedTuple):
    """Values of one kind, of the rows that have one.

    rows: the numbers of these rows, ascending. values: as Arrow has what JSON says: a boolean, a string, an int64 if
    all are integers, else a double, which says exactly what each number says; never null.
    """

    rows: np.ndarray[Any, np.dtype[np.int32]]
    values: pa.Array


def _no_texts(names: Collection[str]) -> dict[str, Texts]:
    return {}


@dataclass
class Columns:
    """One batch of rows as columns.

    declared: declared column -> Python values, one a row, None for NULL. TIMESTAMP columns take ISO text, datetimes
        or epoch seconds; JSON columns take anything that JSON can hold, or `msgspec.Raw` JSON text.
    dynamic: appearing column -> the JSON text of each value, one a row.
    sparse: appearing column -> its values, where all of them are of one kind; another column than those of `dynamic`.
    texts: of some columns of `sparse`, returns what `dynamic` would have.
    """

    rows: int
    declared: dict[str, list[Any]] = field(default_factory=dict)
    dynamic: dict[str, Texts] = field(default_factory=dict)
    sparse: dict[str, Sparse] = field(default_factory=dict)
    texts: Callable[[Collection[str]], Mapping[str, Texts]] = _no_texts

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Columns:
        """Pivot rows to the declared columns `names`; a row without a column has NULL there."""
        return cls(len(rows), {name: [row.get(name) for row in rows] for name in names})

    def exactly(self) -> Columns:
        """Return the same rows with the JSON text of every value that is not declared."""
        return Columns(self.rows, self.declared, {**self.dynamic, **self.texts(self.sparse)})


Batch = Mapping[str, Columns]
"""Name of a spec -> columns of its rows."""
