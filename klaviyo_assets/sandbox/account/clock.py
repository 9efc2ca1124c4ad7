"""The virtual clock of a sandbox account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The time that a sandbox account lives in.

    Without arguments it is the real time. Given a start, it begins there and runs on at the pace of real time, unless
    `frozen`: then it moves only by `advance` and `set`. Naive datetimes are refused with `ValueError`.
    """

    __slots__ = ("_frozen_at", "_offset")

    def __init__(self, now: datetime | None = None, *, frozen: bool = False) -> None:
        self._offset = timedelta(0)
        self._frozen_at = datetime.now(UTC) if frozen else None
        if now is not None:
            self.set(now)

    def now(self) -> datetime:
        """The current virtual time: aware, in UTC, with microseconds."""
        return self._frozen_at or datetime.now(UTC) + self._offset

    def timestamp(self) -> float:
        """The current virtual time in unix seconds."""
        return self.now().timestamp()

    def set(self, now: datetime) -> None:
        """Jump to `now`, forwards or backwards; a frozen clock stays frozen."""
        if now.tzinfo is None:
            raise ValueError(f"the clock needs a datetime with a time zone, got {now!r}")
        now = now.astimezone(UTC)
        if self._frozen_at is not None:
            self._frozen_at = now
        else:
            self._offset = now - datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        """Move the clock by a duration."""
        self.set(self.now() + by)

    def freeze(self) -> None:
        """Stop the clock at its current time."""
        self._frozen_at = self.now()

    def run(self) -> None:
        """Let a frozen clock run on at the pace of real time."""
        now, self._frozen_at = self.now(), None
        self.set(now)

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen_at is not None

    def __repr__(self) -> str:
        return f"Clock({self.now().isoformat()}, frozen={self.frozen})"
