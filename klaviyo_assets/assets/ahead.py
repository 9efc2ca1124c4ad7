"""Reads that begin before their steps do, so that they wait for their rate limit while other steps of the run work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.warehouse.spool import SpoolWriter

Done = tuple[Lost, Mapping[str, Any]]
"""What had another shape than it should, and what the read has used of the API, as asset metadata."""


@dataclass(frozen=True)
class ReadAhead:
    """A read that has begun.

    now, began: the server's time and the number of the read, at that time. writers: spec name -> what it writes to.
    spools: removes that. done: raises what went wrong.
    """

    now: dt.datetime
    began: int
    writers: Mapping[str, SpoolWriter]
    spools: ExitStack
    done: Future[Done]


@dataclass
class ReadsAhead:
    """The reads of a run that have begun before their steps. decided: whether it has been decided which ones do."""

    decided: bool = False
    _threads: ThreadPoolExecutor | None = None
    _reads: dict[str, ReadAhead] = field(default_factory=dict)

    def begin(
        self,
        step: str,
        read: Callable[[], Done],
        *,
        now: dt.datetime,
        began: int,
        writers: Mapping[str, SpoolWriter],
        spools: ExitStack,
    ) -> None:
        """Begin the read of a step in a thread. See `ReadAhead`."""
        self._threads = self._threads or ThreadPoolExecutor(thread_name_prefix="ahead")
        self._reads[step] = ReadAhead(now, began, writers, spools, self._threads.submit(read))

    def take(self, step: str) -> ReadAhead | None:
        """Return the read of a step if it has begun: once, so that a step that is tried again reads again."""
        return self._reads.pop(step, None)

    def close(self) -> None:
        """Give up what no step has taken, once the client is closed so that nobody waits; by the thread that began."""
        if self._threads:
            self._threads.shutdown(cancel_futures=True)
        for read in self._reads.values():
            read.spools.close()
        self.decided, self._threads, self._reads = False, None, {}
