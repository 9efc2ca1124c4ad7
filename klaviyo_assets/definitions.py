"""What Dagster loads: `defs`, the account of the environment, and what a module of your own builds others with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets.assets.executors import executor_of
from klaviyo_assets.assets.incremental import daily_partitions
from klaviyo_assets.build import build_definitions
from klaviyo_assets.dagster_storage.default import store_together
from klaviyo_assets.settings import Settings

__all__ = ["build_definitions", "daily_partitions", "defs"]

if TYPE_CHECKING:
    defs: dg.Definitions


def __getattr__(name: str) -> object:
    """Build `defs` when it is asked for: who imports `build_definitions` has settings of their own.

    What is chosen in the UI runs as the jobs do, in one process by default. To merge with definitions of your own, take
    `build_definitions()`, which leaves the executor to you.
    """
    if name != "defs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    store_together()
    settings = Settings()
    built = dg.Definitions.merge(build_definitions(settings), dg.Definitions(executor=executor_of(settings)))
    return globals().setdefault(name, built)


def __dir__() -> list[str]:
    """Dagster looks for `defs` among these names."""
    return sorted({*globals(), *__all__})
