"""Progress of a long read: in the run's log every few seconds, and to whoever listens."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOG_INTERVAL = 5.0
"""Seconds between two lines of the log."""


@dataclass(frozen=True)
class ProgressReport:
    """How far a read is. done, total: seconds of the time range. elapsed: seconds since the read began."""

    label: str
    done: float
    total: float
    pages: int
    rows: int
    elapsed: float

    @property
    def share(self) -> float:
        """Share of the time range that is done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    def __str__(self) -> str:
        rate = self.rows / self.elapsed if self.elapsed else 0.0
        days = f"{_days(self.done)} of {_days(self.total)} days, {_days(self.total - self.done)} left"
        remaining = ""
        if 0 < self.share < 1:
            seconds = self.elapsed * (1 - self.share) / self.share
            remaining = f", about {dt.timedelta(seconds=round(seconds))} to go"
        return f"{self.label}: {self.share:.0%} ({days}), {self.rows:,} rows, {rate:,.0f} rows/s{remaining}"


_listeners: list[Callable[[ProgressReport], None]] = []


@contextmanager
def listening(listener: Callable[[ProgressReport], None]) -> Iterator[None]:
    """Call `listener` with every report of the reads in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class ProgressReporter:
    """Reports how far the read of a time range is; pass it as `on_progress`."""

    def __init__(self, label: str, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._log = log
        self._clock = clock
        self._began = self._logged = clock()

    def __call__(self, done: float, total: float, pages: int, rows: int) -> None:
        """Take note: seconds of the range done and in all, pages and rows so far."""
        now = self._clock()
        report = ProgressReport(self._label, done, total, pages, rows, now - self._began)
        for listener in _listeners:
            listener(report)
        if now - self._logged >= LOG_INTERVAL:
            self._logged = now
            self._log.info(str(report))


def _days(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:,.0f}" if days >= 10 or days == round(days) else f"{days:,.1f}"
