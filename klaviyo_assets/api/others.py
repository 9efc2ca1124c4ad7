"""What others use of a limit, as far as the answers to our own requests show it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from klaviyo_assets.api.rate_headers import Told

_MEMORY = 60.0  # seconds; what others did before that says nothing


@dataclass
class _Seen:
    """Of a window of Klaviyo's: the most requests that an answer spoke of, how many answers there were, and when."""

    used: int = 0
    ours: int = 0
    at: float = 0.0


class Others:
    """How many requests a second others make: an answer says how many its window has had, whoever made them.

    An answer may be dated later than its request was counted, in the next window. Over many windows that evens out, so
    what counts is their mean, less twice its standard error: who is alone is not slowed down.

    share: the part of the limit that is ours; what others use of the rest is theirs.
    """

    def __init__(self, share: Fraction) -> None:
        self._share = share
        self._windows: dict[int, _Seen] = {}
        self._rate = 0.0

    def note(self, told: Told, now: float) -> None:
        """Take note of what an answer says that came just now."""
        seen = self._windows.setdefault(told.number, _Seen())
        seen.used, seen.ours, seen.at = max(seen.used, told.used), seen.ours + 1, now
        if seen.ours == 1:  # a window has begun, so that those before it are complete
            self._rate = max(0.0, self._at_least(now) - told.quota * float(1 - self._share)) / told.seconds

    def rate(self, now: float) -> float:
        """Return how many it were lately."""
        newest = max((seen.at for seen in self._windows.values()), default=now) if self._rate else now
        return self._rate if now - newest <= _MEMORY else 0.0

    def _at_least(self, now: float) -> float:
        """Return how many requests of others a window has had, on the average, at least."""
        self._windows = {number: seen for number, seen in self._windows.items() if now - seen.at <= _MEMORY}
        *others, _ = [seen.used - seen.ours for _, seen in sorted(self._windows.items())]
        if len(others) < 2:
            return 0.0
        mean = sum(others) / len(others)
        variance = sum((each - mean) ** 2 for each in others) / (len(others) - 1)
        return mean - 2 * sqrt(variance / len(others))
