"""Requests of which only so many are allowed in a day: counted in the warehouse, whatever database that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from klaviyo_assets.api import Window


class Counts(Protocol):
    """What a warehouse can do."""

    def take_request(self, name: str, quota: int, seconds: float) -> float:
        """Take note of a request and return 0, or return the seconds until there may be one."""


class DailyRequests:
    """Counts the requests of a day, which a process alone would forget. The other windows it leaves to each process."""

    def __init__(self, warehouse: Counts) -> None:
        self._warehouse = warehouse

    def take(self, name: str, windows: Sequence[Window]) -> float:
        """Take a place in the windows of a day and return 0, or return the seconds until one is free."""
        return self._warehouse.take_request(name, *windows[2]) if len(windows) > 2 else 0.0

    def close(self) -> None:
        """Do nothing: the warehouse is open only while it is asked."""
