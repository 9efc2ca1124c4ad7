"""What the client did, counted."""

from __future__ import annotations

import threading
from typing import NamedTuple


class Counts(NamedTuple):
    """The counters at one moment; the difference of two is what happened between them.

    `requests` counts every exchange, so `retries` (after a failure) and `throttled` (429s) are among them.
    `seconds_waited` is time spent waiting for rate limits, added up over threads. `bytes` are decompressed bodies.
    """

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    seconds_waited: float = 0.0
    bytes: int = 0

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            self.throttled - earlier.throttled,
            self.seconds_waited - earlier.seconds_waited,
            self.bytes - earlier.bytes,
        )


class Stats:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Counts()

    def counts(self) -> Counts:
        """The counters as they are now."""
        return self._now

    def add(
        self,
        *,
        requests: int = 0,
        retries: int = 0,
        throttled: int = 0,
        seconds_waited: float = 0.0,
        bytes: int = 0,
    ) -> None:
        """Adds to the counters."""
        with self._lock:
            n = self._now
            self._now = Counts(
                n.requests + requests,
                n.retries + retries,
                n.throttled + throttled,
                n.seconds_waited + seconds_waited,
                n.bytes + bytes,
            )

    def __repr__(self) -> str:
        return repr(self._now)
