"""Rows on their way to the warehouse, as Parquet files in a temporary folder.

Spooling keeps memory flat and the warehouse's transaction short: the API may be slow, the load is not.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from klaviyo_assets.schema.columns import Batch, Columns
from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.batches import BATCH_CELLS, BATCH_ROWS, column_type, typed_batches
from klaviyo_assets.warehouse.errors import DiskFull, SpoolFull, WarehouseError, is_full

_PREFIX = "klaviyo_assets_spool_"
_LOCK = ".lock"
_ADVICE = "Free some there, or set TMPDIR to another folder."
_LONGEST_START = 3600.0  # seconds; a spool has no name yet for a moment only


@dataclass(frozen=True)
class SpoolFile:
    """One Parquet file, its number of rows and the type of each of its columns.

    stored: column -> its name in the file, where that is another one.
    """

    path: Path
    rows: int
    types: dict[str, Type]
    stored: Mapping[str, str] = field(default_factory=dict)


class Room:
    """How many bytes the spools of a step may take together; None: as many as there are.

    Raises SpoolFull if so many are not free in the temporary folder.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._taken = 0
        folder = str(_temporary())
        if limit is not None and (free := shutil.disk_usage(folder).free) < limit:
            raise SpoolFull(folder, limit, free)

    def take(self, size: int) -> None:
        """Take note of so many more bytes; raise SpoolFull if they are too many."""
        self._taken += size
        if self.limit is not None and self._taken > self.limit:
            raise SpoolFull(tempfile.gettempdir(), self.limit)


class Spool:
    """Writes record batches to a folder of its own; `files` lists what is there, oldest first.

    numbers: those of its files. Of two rows with one key, that in the file with the higher number is the later one.
    """

    def __init__(self, folder: Path, room: Room | None = None, numbers: range = range(2**31)) -> None:
        self.folder = folder
        self._room = room or Room()
        self._numbers = numbers
        self.files: list[SpoolFile] = []

    @property
    def rows(self) -> int:
        """Number of rows spooled so far, duplicates included."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Size of the files on disk."""
        return sum(file.path.stat().st_size for file in self.files)

    def renamed(self, names: Mapping[str, str]) -> Spool:
        """Return the same rows, with other names for some columns: name -> the other one."""
        if not names:
            return self
        spool = Spool(self.folder)
        for file in self.files:
            stored = {names[name]: name for name in file.types if name in names}
            types = {names.get(name, name): kind for name, kind in file.types.items()}
            spool.files.append(replace(file, types=types, stored=stored))
        return spool

    def reserve(self, count: int) -> range:
        """Return numbers for files that another one writes into the same folder; what comes later has higher ones.

        Raises IndexError if there are not so many any more.
        """
        self._numbers[count - 1]
        reserved, self._numbers = self._numbers[:count], self._numbers[count:]
        return reserved

    def adopt(self, files: Iterable[SpoolFile]) -> None:
        """Append what another one has written; raise SpoolFull if that takes too much room."""
        for file in files:
            self._room.take(file.path.stat().st_size)
            self.files.append(file)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append one batch as a file of its own: batches of one table may differ in columns and types."""
        (number,) = self.reserve(1)
        path = self.folder / f"{number:06d}.parquet"
        try:
            table = pa.Table.from_batches([batch])
            pq.write_table(table, path, compression="snappy", write_statistics=False, store_schema=False)
        except OSError as error:
            if not is_full(error):
                raise
            raise DiskFull(f"temporary files in {self.folder.parent}", _ADVICE) from error
        self.adopt([SpoolFile(path, batch.num_rows, {field.name: column_type(field) for field in batch.schema})])

    def write_all(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Append every batch."""
        for batch in batches:
            self.write(batch)


class SpoolWriter:
    """Collects the columns of one table and spools them in typed batches; close it after the last ones.

    lost: by declared column, the values that its type can't hold and that became NULL, and rows without a key.
    """

    def __init__(self, spec: TableSpec, spool: Spool, lost: Lost | None = None) -> None:
        self.spec = spec
        self.spool = spool
        self.lost = Lost() if lost is None else lost
        self._waiting: list[Columns] = []
        self._rows = 0
        self._cells = 0

    def add(self, columns: Columns) -> None:
        """Take columns; they are spooled once there are enough of them."""
        if columns.rows:
            if self.spec.policy:
                columns = self.spec.policy.apply(columns)
            self._waiting.append(columns)
            self._rows += columns.rows
            self._cells += columns.rows * (len(columns.declared) + len(columns.dynamic))
        if self._rows >= BATCH_ROWS or self._cells >= BATCH_CELLS:
            self.close()

    def close(self) -> None:
        """Spool what is waiting."""
        for batch in typed_batches(self._waiting, self.spec, rows=self._rows, on_lost=self.lost.add):
            self.spool.write(batch)
        self._waiting, self._rows, self._cells = [], 0, 0


def add_batch(batch: Batch, writers: Mapping[str, SpoolWriter]) -> None:
    """Give the rows of tables to the writers of these; what nobody wants is left out. writers: spec name -> its own."""
    for name, columns in batch.items():
        if name in writers:
            writers[name].add(columns)


def close_all(writers: Mapping[str, SpoolWriter]) -> None:
    """Spool what is waiting in any of them; more may come. writers: spec name -> its own."""
    for writer in writers.values():
        writer.close()


def _temporary() -> Path:
    with _writable():
        folder = Path(tempfile.gettempdir())
        folder.stat()
        return folder


@contextmanager
def _writable() -> Iterator[None]:
    """Say what to do where no temporary files can be made, as in a container whose root may only be read."""
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or "of this machine"
        if is_full(error):
            raise DiskFull(f"temporary files in {folder}", _ADVICE) from None
        raise WarehouseError(
            f"No temporary file can be made in the folder {folder}: {error.strerror}. Set TMPDIR to one that can be "
            "written, or give the right to."
        ) from None


@contextmanager
def temporary_spool(room: Room | None = None) -> Iterator[Spool]:
    """Give a spool whose folder is removed at the end, whatever happens. room: that it shares with others.

    A killed process can't clean up: the next one removes the folder, because nobody holds its lock any more.
    """
    remove_abandoned_spools()
    with _writable():
        unnamed = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    folder = unnamed.with_name(unnamed.name[1:])
    try:
        with FileLock(unnamed / _LOCK):
            unnamed.rename(folder)  # only now, with its lock held, can others find it
            yield Spool(folder, room)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned_spools(clock: Callable[[], float] = time.time) -> None:
    """Remove the spools whose processes are gone.

    Nobody holds a lock yet on one that is hidden, just being made: it is abandoned if it has been hidden for an hour.

    clock: seconds since 1970.
    """
    temporary = _temporary()
    for folder in temporary.glob(f".{_PREFIX}*"):
        try:
            abandoned = clock() - folder.stat().st_mtime > _LONGEST_START
        except OSError:
            continue  # it has got its name, or is another user's
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in temporary.glob(f"{_PREFIX}*"):
        path = folder / _LOCK
        try:
            if not path.exists():
                continue  # its owner is about to remove it
            with FileLock(path, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue  # in use, or another user's
