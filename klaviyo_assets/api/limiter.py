"""How long to wait before a request, so that Klaviyo has no reason to refuse it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from math import ceil
from typing import NamedTuple, Protocol

from klaviyo_assets.api.errors import RateLimited
from klaviyo_assets.api.operations import Rate
from klaviyo_assets.api.others import Others
from klaviyo_assets.api.rate_headers import Told

LONGEST_WAIT = 600.0
_SECONDS = (1, 60, 86_400)
_SLACK = 1.05  # requests do not all take equally long to arrive, and small quotas have no part to spare
_NOISE = 0.1  # requests of others in a window, of which nothing is known that precisely
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Window(NamedTuple):
    """At most so many requests in any so many seconds."""

    quota: int
    seconds: float


class SharedLimits(Protocol):
    """Counts the requests of all processes that read an account."""

    def take(self, name: str, windows: Sequence[Window]) -> float:
        """Take a place in all windows of a limit and return 0, or take none and return the seconds until one is free.

        windows: of a second, of a minute and, where that is limited, of a day.
        Raises KlaviyoError if nobody counts.
        """


def windows_of(rate: Rate, share: Fraction = Fraction(1)) -> Iterator[Window]:
    """Yield the windows in which requests are counted: those of Klaviyo, or a part of what they allow.

    They are of a second, of a minute and, if that is limited, of a day. Less than one request in one is one in a longer
    time. All are a little longer than Klaviyo's.
    """
    for quota, seconds in zip(rate, _SECONDS, strict=True):
        if quota is not None:
            part = quota * share
            yield Window(max(int(part), 1), seconds * _SLACK / min(float(part), 1.0))


class _SlidingWindow:
    """At most `quota` requests in any `seconds`: then no fixed window of Klaviyo's holds more, wherever it begins."""

    def __init__(self, window: Window) -> None:
        self.quota, self.seconds = window
        self.taken: deque[float] = deque(maxlen=window.quota)

    def free_at(self, others: float) -> float:
        """Return when there is a place. others: requests a second of others: half of the quota is left to them."""
        free = self.quota - min(ceil(others * self.seconds - _NOISE), self.quota // 2)
        return self.taken[-free] + self.seconds if len(self.taken) >= free else float("-inf")


class _Bucket:
    def __init__(self, rate: Rate, share: Fraction, paced: bool) -> None:
        self.windows = [_SlidingWindow(window) for window in windows_of(rate, share)] if paced else []
        self.others = Others(share)
        self.paused_until = float("-inf")
        self.refused = 0  # 429s since the last success
        self.refused_seconds = 0.0

    def free_at(self, now: float) -> float:
        others = self.others.rate(now)
        return max([self.paused_until, *(window.free_at(others) for window in self.windows)])


class Limiter:
    """Accounts for the requests of one API key, per limit. Thread-safe; it never sleeps itself.

    Every request passes a list of limits, (name, rate) as `operations.limits` returns it; a 429 pauses the last and
    narrowest of them, for every thread.

    Args:
        clock: Returns monotonic seconds.
        share: The part of all limits that is this process's.
        shared: Counts the requests of other processes, too.
        paced: Whether the limits are waited for; without, only a 429 is.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        share: Fraction = Fraction(1),
        shared: SharedLimits | None = None,
        paced: bool = True,
    ) -> None:
        self._clock = clock
        self._share = share
        self._paced = paced
        self._shared = shared
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, limits: Sequence[tuple[str, Rate]]) -> float:
        """Takes a place and returns 0, or takes none and returns the seconds until it is worth asking again.

        Raises RateLimited if that is more than ten minutes.
        """
        with self._lock:
            now = self._clock()
            buckets = [self._bucket(limit) for limit in limits]
            free_at = max(bucket.free_at(now) for bucket in buckets)
            if free_at > now:
                return _bearable(limits, free_at - now)
            for bucket in buckets:
                for window in bucket.windows:
                    window.taken.append(now)
        if self._shared is None:
            return 0.0
        taken = False
        try:  # nobody holds a lock meanwhile
            wait = self._wait_for_others(self._shared, limits)
            taken = wait == 0
            return _bearable(limits, wait)
        finally:
            if not taken:
                self._give_back(buckets, now)

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

    def accepted(self, limits: Sequence[tuple[str, Rate]], told: Told | None = None) -> None:
        """Not a 429: the next refusal starts counting anew.

        told: what the answer says of one of the limits, of which others may use a part.
        """
        with self._lock:
            bucket = self._bucket(limits[-1])
            bucket.refused = 0
            bucket.refused_seconds = 0.0
            if told:
                meant = next((limit for limit in reversed(limits) if told.quota in limit[1]), limits[-1])
                self._bucket(meant).others.note(told, self._clock())

    def _wait_for_others(self, shared: SharedLimits, limits: Sequence[tuple[str, Rate]]) -> float:
        """Take a place among those of all processes, of the narrowest limit first; return the seconds to wait."""
        for name, rate in reversed(limits):
            if wait := shared.take(name, list(windows_of(rate, self._share))):
                return wait
        return 0.0

    def _give_back(self, buckets: Sequence[_Bucket], taken: float) -> None:
        with self._lock:
            for bucket in buckets:
                for window in bucket.windows:
                    with suppress(ValueError):  # newer ones have taken its place
                        window.taken.remove(taken)

    def _bucket(self, limit: tuple[str, Rate]) -> _Bucket:
        name, rate = limit
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(rate, self._share, self._paced)
        return bucket


def _bearable(limits: Sequence[tuple[str, Rate]], wait: float) -> float:
    if wait > LONGEST_WAIT:
        raise RateLimited(limits[0][0], wait)
    return wait
