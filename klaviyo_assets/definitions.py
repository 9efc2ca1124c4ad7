"""What Dagster loads: `defs`, the account of the environment, and what a module of your own builds others with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets.assets.incremental import daily_partitions
from klaviyo_assets.build import build_definitions

__all__ = ["build_definitions", "daily_partitions", "defs"]

if TYPE_CHECKING:
    defs: dg.Definitions


def __getattr__(name: str) -> object:
    """Build `defs` when it is asked for: who imports `build_definitions` has settings of their own.

    What is chosen in the UI runs in one process too, as the jobs do. To merge with definitions of your own, take
    `build_definitions()`, which leaves the executor to you.
    """
    if name != "defs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    built = dg.Definitions.merge(build_definitions(), dg.Definitions(executor=dg.in_process_executor))
    return globals().setdefault(name, built)


def __dir__() -> list[str]:
    """Dagster looks for `defs` among these names."""
    return sorted({*globals(), *__all__})
