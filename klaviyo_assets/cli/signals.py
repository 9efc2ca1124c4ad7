"""Signals that end a command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Have SIGTERM, and the end of the terminal, do what Ctrl-C does: what was begun is put away."""
    hangup = signal.getsignal(signal.SIGHUP)
    before = {signal.SIGTERM: signal.getsignal(signal.SIGTERM), signal.SIGHUP: hangup}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hangup is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
