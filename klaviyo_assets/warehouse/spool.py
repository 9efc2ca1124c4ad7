"""Rows on their way to the warehouse, as Parquet files in a temporary folder.

Spooling keeps memory flat and the warehouse's transaction short: the API may be slow, the load is not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from klaviyo_assets.warehouse.batches import column_type
from klaviyo_assets.warehouse.schema import Type

_PREFIX = "klaviyo_assets_spool_"
_LOCK = ".lock"


@dataclass(frozen=True)
class SpoolFile:
    """One Parquet file, its number of rows and the type of each of its columns."""

    path: Path
    rows: int
    types: dict[str, Type]


class Spool:
    """Writes record batches to a folder of its own; `files` lists what is there, oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[SpoolFile] = []

    @property
    def rows(self) -> int:
        """Number of rows spooled so far, duplicates included."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Size of the files on disk."""
        return sum(file.path.stat().st_size for file in self.files)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one batch as a file of its own: batches of one table may differ in columns and types."""
        path = self.folder / f"{len(self.files):06d}.parquet"
        pq.write_table(pa.Table.from_batches([batch]), path, compression="zstd", compression_level=1)
        self.files.append(SpoolFile(path, batch.num_rows, {field.name: column_type(field) for field in batch.schema}))

    def write_all(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Append every batch."""
        for batch in batches:
            self.write(batch)


@contextmanager
def temporary_spool() -> Iterator[Spool]:
    """Give a spool whose folder is removed at the end, whatever happens.

    A killed process can't clean up: the next one removes the folder, because nobody holds its lock any more.
    """
    remove_abandoned_spools()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / _LOCK)
    try:
        with lock:
            yield Spool(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned_spools() -> None:
    """Remove the spools whose processes are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        path = folder / _LOCK
        if not path.exists():
            continue  # its owner is about to take the lock
        try:
            with FileLock(path, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue  # in use, or another user's
