"""Ctrl-C, and a run that is terminated, while DuckDB computes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

_ENDINGS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a signal end what a connection computes; raises KeyboardInterrupt instead of DuckDB's own errors.

    Python sees no signal while DuckDB has the thread, and DuckDB looks for one between two parts of its work, which
    may take minutes, and makes an error of it as any other. The system tells a thread through a pipe at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        while received := os.read(reading, 1):
            if received[0] in _ENDINGS:
                connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if isinstance(error, duckdb.InterruptException) or str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)
