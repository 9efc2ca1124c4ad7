"""Processes that read one account at once, and others that use it, against the sandbox's limits, in virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fractions import Fraction
from itertools import count

from requests.structures import CaseInsensitiveDict

from klaviyo_assets.api.limiter import Limiter, SharedLimits
from klaviyo_assets.api.operations import limits
from klaviyo_assets.api.rate_headers import told
from klaviyo_assets.sandbox import Clock
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.api.limits import RateLimiter
from klaviyo_assets.sandbox.api.operations import OPERATIONS

BEGAN = datetime(2026, 9, 4, 13, 38, 17, tzinfo=UTC)
WORKERS = 12


@dataclass
class Outcome:
    """pages: of each process. ended: when each had its last one. paused: seconds in which one had none, at most.
    refused: how often somebody was.
    """

    pages: list[int]
    ended: list[float]
    paused: float = 0.0
    refused: int = 0
    others: int = 0
    others_refused: int = 0

    @property
    def refused_share(self) -> float:
        return self.refused / (sum(self.pages) + self.refused)


@dataclass
class Race:
    """Each process has workers that ask for a page, and for the next one once it is there.

    others: requests a second of another tool. heeds: whether what answers say of the limits is heeded. lag: seconds by
    which answers are dated later than they were counted, at most.
    """

    operation: str
    pages: int
    processes: int = 1
    others: float = 0.0
    heeds: bool = True
    share: Fraction = Fraction(1)
    shared: Callable[[Callable[[], float]], SharedLimits | None] = lambda clock: None
    latency: float = 0.3
    lag: float = 0.0
    now: float = 0.0
    _queue: list[tuple[float, int, Iterator[float]]] = field(default_factory=list)

    def run(self, until: float = 3600.0) -> Outcome:
        """Return what became of it: until all have their pages, or the time is up."""
        self._random, numbers = random.Random(1), count()
        self._clock = Clock(BEGAN, frozen=True)
        self._server = RateLimiter(self._clock, "real")
        self._outcome = Outcome([0] * self.processes, [0.0] * self.processes)
        doings = [self._other()] if self.others else []
        for process in range(self.processes):
            limiter = Limiter(lambda: self.now, share=self.share, shared=self.shared(lambda: self.now))
            doings += [self._worker(process, limiter) for _ in range(WORKERS)]
        self._queue = [(self._random.random() / 10, next(numbers), doing) for doing in doings]
        heapq.heapify(self._queue)
        while self._queue and self.now < until and min(self._outcome.pages) < self.pages:
            self.now, _, doing = heapq.heappop(self._queue)
            self._clock.set(BEGAN + timedelta(seconds=self.now))
            if (seconds := next(doing, None)) is not None:
                heapq.heappush(self._queue, (self.now + seconds, next(numbers), doing))
        return self._outcome

    def _worker(self, process: int, limiter: Limiter) -> Iterator[float]:
        limited, outcome = limits(self.operation, {}), self._outcome
        while outcome.pages[process] < self.pages:
            if wait := limiter.take(limited):
                yield wait
                continue
            yield self.latency * self._random.uniform(0.3, 0.5)
            try:
                headers = self._server.admit("account", OPERATIONS[self.operation], None)
            except ApiError as refused:
                outcome.refused += 1
                yield self.latency * 0.4
                limiter.refused(limited, refused.retry_after)
                continue
            dated = self._clock.now() + timedelta(seconds=self.lag * self._random.random())
            headers["date"] = format_datetime(dated, usegmt=True)
            yield self.latency * self._random.uniform(0.3, 0.5)
            limiter.accepted(limited, told(CaseInsensitiveDict(headers)) if self.heeds else None)
            outcome.pages[process] += 1
            outcome.paused = max(outcome.paused, self.now - outcome.ended[process])
            outcome.ended[process] = self.now

    def _other(self) -> Iterator[float]:
        while True:
            try:
                self._server.admit("account", OPERATIONS[self.operation], None)
                self._outcome.others += 1
            except ApiError:
                self._outcome.others_refused += 1
            yield 1 / self.others
