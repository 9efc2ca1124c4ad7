"""Spools that are kept in memory, and the rows of any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.batches import column_type
from klaviyo_assets.warehouse.spool import Room, Spool, SpoolFile


class MemorySpool(Spool):
    """A spool without files: `columns` are those of each batch."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.columns: list[dict[str, list[Any]]] = []

    @property
    def bytes(self) -> int:
        return 0

    def write(self, batch: pa.RecordBatch) -> None:
        types = {field.name: column_type(field) for field in batch.schema}
        self.files.append(SpoolFile(self.folder, batch.num_rows, types))
        self.columns.append(batch.to_pydict())


@contextmanager
def memory_spool(room: Room | None = None) -> Iterator[Spool]:
    """Take the place of `temporary_spool`."""
    yield MemorySpool()


def parts(spool: Spool) -> Iterator[tuple[dict[str, Type], list[dict[str, Any]]]]:
    """Yield the types and the rows of each file of a spool."""
    for number, file in enumerate(spool.files):
        columns = spool.columns[number] if isinstance(spool, MemorySpool) else pq.read_table(file.path).to_pydict()
        names = list(columns)
        yield file.types, [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def keys(spool: Spool) -> set[Any]:
    """Return the values of a spool's only column."""
    return {value for _, rows in parts(spool) for row in rows for value in row.values()}
