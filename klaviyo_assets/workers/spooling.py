"""How the pages of a read become files: the one way in, whichever process does it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Protocol

from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.warehouse.spool import SpoolWriter, add_batch, close_all
from klaviyo_assets.workers.conversion import Convert, Done, Target, Task
from klaviyo_assets.workers.pool import Pool

LONG = 3.0
"""Seconds of this thread's CPU that a read has taken when it counts as long: what comes then is worth the start of
processes, half a second each. It is that of 60,000 events with hundreds of properties, of 200,000 with ten."""

_TASK_BYTES, _TASK_PAGES = 24_000_000, 900
_HELD_BYTES = 64_000_000  # of pages whose rows wait: four times as much memory is needed once they get their types
_NUMBERS = 1000  # for the files of a task; no page fills more than one of a table, and the rest goes into one more


def spool_pages(
    pages: Iterable[bytes],
    convert: Convert,
    writers: Mapping[str, SpoolWriter],
    misshapen: Lost,
    *,
    processes: int,
    long: float | None = None,
) -> None:
    """Spool the rows of pages, in their order; of a long read in several processes.

    Args:
        pages: The content of each.
        convert: Makes rows of it; picklable.
        writers: Spec name -> where its rows go; they are closed at the end.
        misshapen: Is told what pages have of another shape than they should, by processes beside this one. (In
            this one, whoever is `noting` is told.)
        processes: How many share the work of a long read; 1: this one does all of it.
        long: For how many seconds this one works on pages before others start. Default: `LONG`.

    Raises:
        WorkerDied: A process has ended in the middle of it.
        WorkerNotStarted: The machine has none for it.
        WarehouseError: SpoolFull or DiskFull.
        Exception: Whatever `convert` raises.
    """
    long = LONG if long is None else long
    with ExitStack() as stack:
        spooling: _Spooling = _Here(convert, writers)
        here, worked = True, 0.0
        for page in pages:
            if here and processes > 1 and worked >= long:
                spooling.close()
                pool = stack.enter_context(Pool(processes, convert))
                here, spooling = False, _Beside(pool, writers, misshapen)
            began = time.thread_time()
            spooling.add(page)
            worked += time.thread_time() - began
        spooling.close()


class _Spooling(Protocol):
    def add(self, page: bytes) -> None:
        """Take a page."""

    def close(self) -> None:
        """Spool what is waiting."""


class _Here:
    """Spools pages in this process, large ones before they are as many rows as writers wait for."""

    def __init__(self, convert: Convert, writers: Mapping[str, SpoolWriter]) -> None:
        self._convert, self._writers = convert, writers
        self._bytes = 0

    def add(self, page: bytes) -> None:
        add_batch(self._convert(page), self._writers)
        self._bytes += len(page)
        if self._bytes >= _HELD_BYTES:
            self.close()

    def close(self) -> None:
        close_all(self._writers)
        self._bytes = 0


class _Beside:
    """Has pages spooled by a pool of processes, some at a time; takes note of what they say."""

    def __init__(self, pool: Pool, writers: Mapping[str, SpoolWriter], misshapen: Lost) -> None:
        self._pool, self._writers, self._misshapen = pool, writers, misshapen
        self._pages: list[bytes] = []
        self._bytes = 0

    def add(self, page: bytes) -> None:
        self._pages.append(page)
        self._bytes += len(page)
        if self._bytes >= _TASK_BYTES or len(self._pages) >= _TASK_PAGES:
            self._give()

    def close(self) -> None:
        if self._pages:
            self._give()
        for done in self._pool.rest():
            self._note(done)

    def _give(self) -> None:
        writers = self._writers.values()
        targets = [Target(each.spec, each.spool.folder, each.spool.reserve(_NUMBERS)) for each in writers]
        task = Task(self._pages, targets)
        self._pages, self._bytes = [], 0
        for done in self._pool.give(task):
            self._note(done)

    def _note(self, done: Done) -> None:
        done.misshapen.tell(self._misshapen)
        for name, writer in self._writers.items():
            done.unfit[name].tell(writer.lost)
            writer.spool.adopt(done.files[name])
