"""How many requests are under way at a time: few at first, more while answers come quickly, fewer when they do not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST = 2
_SLOW, _NEVER_SLOW = 3.0, 1.0  # times the usual of the same operation; seconds
_WEIGHT = 1 / 8  # of the newest answer in what is usual


class Concurrency:
    """Gives out places for requests, at most `limit` at a time, which moves between 1 and `most`. Thread-safe.

    `limit` rises by one with every answer, so that it doubles in the time of one, and after its first fall by one in
    the time of one; but not above twice the places that were ever taken at once. It falls to a half when a request is
    refused or fails, and by one when an answer takes three times as long as usual; what was under way when it fell
    does not make it fall again.

    `clock` returns monotonic seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._changed = threading.Condition()
        self._limit: float = min(_FIRST, most)
        self._running = self._most_running = 0
        self._fell_at: float | None = None
        self._usual: dict[str, float] = {}

    @property
    def limit(self) -> int:
        """The number of places that there are now."""
        return int(self._limit)

    @contextmanager
    def place(self) -> Iterator[float]:
        """Waits for a place and holds it; gives the time at which it was taken. An error counts as a refusal."""
        with self._changed:
            self._changed.wait_for(lambda: self._running < self.limit)
            self._running += 1
            self._most_running = max(self._most_running, self._running)
        began = self._clock()
        try:
            yield began
        except Exception:
            self.refused(began)
            raise
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def answered(self, operation: str, began: float) -> None:
        """The request that took its place at `began` was answered just now."""
        with self._changed:
            seconds = self._clock() - began
            usual = self._usual.get(operation, seconds)
            self._usual[operation] = usual + (seconds - usual) * _WEIGHT
            if seconds > max(_SLOW * usual, _NEVER_SLOW):
                self._fall(began, self._limit - 1)
            else:
                most = min(self._most, max(self._limit, 2 * self._most_running))
                self._limit = min(most, self._limit + (1 if self._fell_at is None else 1 / self._limit))
                self._changed.notify()

    def refused(self, began: float) -> None:
        """The request that took its place at `began` was refused, or failed on the server or on the way."""
        with self._changed:
            self._fall(began, self._limit / 2)

    def _fall(self, began: float, limit: float) -> None:
        if self._fell_at is None or began >= self._fell_at:
            self._limit = max(1.0, limit)
            self._fell_at = self._clock()
