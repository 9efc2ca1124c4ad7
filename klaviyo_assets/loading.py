"""Imports what takes long in the processes that are ours: those of the commands, and those that load `definitions`."""

from __future__ import annotations

import gc
import sys
from importlib import import_module

LIBRARIES = ("dagster", "dagster._core.storage.event_log", "pyarrow", "pydantic_settings", "requests", "sqlalchemy")
"""What a run needs anyway."""

UNFROZEN = "duckdb"
"""It complains, when the process ends, of what the collector was kept from."""


def load_libraries() -> None:
    """Import the libraries, and have the garbage collector look at them never again.

    What is imported stays until the process ends. The collector would look through it again and again while it comes,
    and three times at the end: a second of CPU, a sixth of a sync that finds nothing new. Nothing is done in a process
    that has imported DuckDB already: it is somebody else's.
    """
    if UNFROZEN in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for library in LIBRARIES:
            import_module(library)
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
