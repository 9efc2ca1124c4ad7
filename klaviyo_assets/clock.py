"""The time of this machine. It informs, and is compared with the server's; nothing is ordered by it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

Clock = Callable[[], dt.datetime]
"""Tells the time, aware."""


def machine_time() -> dt.datetime:
    """Return this machine's time, in UTC."""
    return dt.datetime.now(dt.UTC)
