"""How long to wait before a request, so that Klaviyo has no reason to refuse it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from klaviyo_assets.api.errors import RateLimited
from klaviyo_assets.api.operations import Rate

LONGEST_WAIT = 600.0
_SLACK = 1.05  # requests do not all take equally long to arrive, and small quotas have no part to spare
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class _SlidingWindow:
    """At most `quota` requests in any `seconds`: then no fixed window of Klaviyo's holds more, wherever it begins."""

    def __init__(self, quota: int, seconds: float) -> None:
        self.seconds = seconds * _SLACK
        self.taken: deque[float] = deque(maxlen=quota)

    def free_at(self) -> float:
        full = len(self.taken) == self.taken.maxlen
        return self.taken[0] + self.seconds if full else float("-inf")


class _Bucket:
    def __init__(self, rate: Rate) -> None:
        self.windows = [_SlidingWindow(rate.burst, 1), _SlidingWindow(rate.steady, 60)]
        if rate.daily:
            self.windows.append(_SlidingWindow(rate.daily, 86_400))
        self.paused_until = float("-inf")
        self.refused = 0  # 429s since the last success
        self.refused_seconds = 0.0


class Limiter:
    """Accounts for the requests of one API key, per limit. Thread-safe; it never sleeps itself.

    `clock` returns monotonic seconds. Every request passes a list of limits, (name, rate) as `operations.limits`
    returns it; a 429 pauses the last and narrowest of them, for every thread.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, limits: Sequence[tuple[str, Rate]]) -> float:
        """Takes a place and returns 0, or takes none and returns the seconds until it is worth asking again.

        Raises RateLimited if that is more than ten minutes.
        """
        with self._lock:
            now = self._clock()
            buckets = [self._bucket(limit) for limit in limits]
            free_at = max(max(b.paused_until, *(w.free_at() for w in b.windows)) for b in buckets)
            if free_at > now:
                return _bearable(limits, free_at - now)
            for bucket in buckets:
                for window in bucket.windows:
                    window.taken.append(now)
            return 0.0

    def refused(self, limits: Sequence[tuple[str, Rate]], retry_after: float | None) -> None:
        """A 429: nobody asks again for `retry_after` seconds (None: 1 s, doubling with each refusal in a row).

        Raises RateLimited if that is more than ten minutes, or adds up to more with no success in between.
        """
        with self._lock:
            now = self._clock()
            bucket = self._bucket(limits[-1])
            paused = now < bucket.paused_until  # the refusals that many threads meet at the same time are one
            if retry_after is None:
                retry_after = 0.0 if paused else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(bucket.refused, 10))
            bucket.refused += not paused
            bucket.refused_seconds += max(0.0, now + retry_after - max(now, bucket.paused_until))
            bucket.paused_until = max(bucket.paused_until, now + retry_after)
            _bearable(limits, max(retry_after, bucket.refused_seconds))

    def accepted(self, limits: Sequence[tuple[str, Rate]]) -> None:
        """Not a 429: the next refusal starts counting anew."""
        with self._lock:
            bucket = self._bucket(limits[-1])
            bucket.refused = 0
            bucket.refused_seconds = 0.0

    def _bucket(self, limit: tuple[str, Rate]) -> _Bucket:
        name, rate = limit
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(rate)
        return bucket


def _bearable(limits: Sequence[tuple[str, Rate]], wait: float) -> float:
    if wait > LONGEST_WAIT:
        raise RateLimited(limits[0][0], wait)
    return wait
