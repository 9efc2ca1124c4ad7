"""Ctrl-C, and a run that is terminated, where libraries don't let it through."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import duckdb

AGAIN = 3.0
"""Seconds after which work that goes on is interrupted again."""

_ENDINGS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection, again: float = AGAIN) -> Iterator[None]:
    """Let a signal end what a connection computes; raises KeyboardInterrupt instead of DuckDB's own errors.

    Python sees no signal while DuckDB has the thread, and DuckDB looks for one between two parts of its work, which
    may take minutes, and makes an error of it as any other. The system tells a thread through a pipe at once.
    It is repeated, as DuckDB forgets one that comes before a statement has begun.
    """

    def interrupt() -> None:
        with suppress(duckdb.ConnectionException):  # it is closed already: there is nothing left to end
            connection.interrupt()

    try:
        with _told(interrupt, interrupt, again):
            yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise


def is_interrupt(error: BaseException) -> bool:
    """Return whether an error is what DuckDB makes of a signal."""
    return isinstance(error, duckdb.InterruptException) or str(error) == "Query interrupted"


@contextmanager
def insisting(again: float = AGAIN) -> Iterator[threading.Event]:
    """Repeat a signal until the work in here ends: Dagster forgets one that comes between two of its events.

    Gives what tells whether there was one.
    """
    pressed = threading.Event()
    with _told(pressed.set, lambda: os.kill(os.getpid(), signal.SIGINT), again), _unsaid_in_finalizers():
        yield pressed


@contextmanager
def _unsaid_in_finalizers() -> Iterator[None]:
    """Leave out what Python prints of a signal that comes in a `__del__`: it is lost there, and comes again."""
    told = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            told(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = told


@contextmanager
def _told(act: Callable[[], object], repeat: Callable[[], object], again: float) -> Iterator[None]:
    """Have a thread act at the first signal that ends a process, whoever else handles it, and repeat from then on.

    Only the main thread gets any.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    over = threading.Event()

    def watch() -> None:
        while received := os.read(reading, 1):
            if before >= 0:
                with suppress(OSError):
                    os.write(before, received)
            if received[0] in _ENDINGS:
                act()
                while not over.wait(again):
                    repeat()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)
