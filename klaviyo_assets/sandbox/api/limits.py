"""Klaviyo's rate limits: fixed windows of a second, a minute and (reports) a day, on the account's virtual clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from klaviyo_assets.sandbox.account.clock import Clock
from klaviyo_assets.sandbox.api.errors import throttled
from klaviyo_assets.sandbox.api.operation import Operation, ParameterRate, Rate

RateLimits = Literal["off", "real"] | Mapping[str, tuple[int, int]]

WINDOWS = (1, 60, 86_400)


class RateLimiter:
    """Counts requests per account (or OAuth token) and operation.

    `limits` is "off" (nothing is refused), "real", or a mapping of operation ids to (burst per second, steady per
    minute) that leaves other operations unlimited. Windows begin on whole seconds, minutes and days of the clock.
    """

    def __init__(self, clock: Clock, limits: RateLimits = "off") -> None:
        self.clock = clock
        self.limits = limits
        self._counts: dict[tuple[str, str, int], tuple[int, int]] = {}

    def admit(self, caller: str, operation: Operation, parameter: ParameterRate | None) -> dict[str, str]:
        """Count a request and return the headers of its response; raises the `ApiError` 429 when a window is full."""
        buckets = [(operation.id, self._rate(operation))]
        if parameter is not None:
            buckets.append((f"{parameter.type}.{parameter.field}", parameter.rate))
        now = self.clock.timestamp()
        if self.limits != "off":
            waits = [wait for name, rate in buckets for wait in self._waits(caller, name, rate, now)]
            if waits:
                raise throttled(max(waits))
            for name, rate in buckets:
                self._count(caller, name, rate, now)
        name, rate = buckets[-1]
        quotas = ", ".join(
            f"{quota};w={window}" for quota, window in zip(rate, WINDOWS, strict=True) if quota is not None
        )
        used = self._used(caller, name, 1, now) if self.limits != "off" else 1
        return {
            "ratelimit-limit": f"{rate.burst}, {quotas}",
            "ratelimit-remaining": str(max(rate.burst - used, 0)),
            "ratelimit-reset": "0",
        }

    def _rate(self, operation: Operation) -> Rate:
        if isinstance(self.limits, Mapping):
            return Rate(*self.limits.get(operation.id, (10**9, 10**9)))
        return operation.rate

    def _waits(self, caller: str, name: str, rate: Rate, now: float) -> list[int]:
        """Seconds until each full window ends, one at least."""
        return [
            max(math.ceil(window - now % window), 1)
            for quota, window in zip(rate, WINDOWS, strict=True)
            if quota is not None and self._used(caller, name, window, now) >= quota
        ]

    def _used(self, caller: str, name: str, window: int, now: float) -> int:
        number, count = self._counts.get((caller, name, window), (None, 0))
        return count if number == now // window else 0

    def _count(self, caller: str, name: str, rate: Rate, now: float) -> None:
        for quota, window in zip(rate, WINDOWS, strict=True):
            if quota is not None:
                used = self._used(caller, name, window, now)
                self._counts[caller, name, window] = (int(now // window), used + 1)
