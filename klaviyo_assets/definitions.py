"""What Dagster loads: `defs`, the account of the environment, and what a module of your own builds others with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klaviyo_assets.loading import load_libraries

__all__ = ["build_definitions", "daily_partitions", "defs"]

if TYPE_CHECKING:
    import dagster as dg

    from klaviyo_assets.assets.incremental import daily_partitions
    from klaviyo_assets.build import build_definitions

    defs: dg.Definitions


def __getattr__(name: str) -> object:
    """Import what is asked for, and build `defs` only then: who wants `build_definitions` has settings of their own.

    What is chosen in the UI runs as the jobs do, in one process by default. To merge with definitions of your own, take
    `build_definitions()`, which leaves the executor to you.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_libraries()
    if name == "defs":
        return globals().setdefault(name, _account_of_the_environment())
    from klaviyo_assets.assets.incremental import daily_partitions
    from klaviyo_assets.build import build_definitions

    return {"build_definitions": build_definitions, "daily_partitions": daily_partitions}[name]


def _account_of_the_environment() -> dg.Definitions:
    import dagster as dg

    from klaviyo_assets.assets.executors import executor_of
    from klaviyo_assets.build import build_definitions
    from klaviyo_assets.dagster_storage.default import store_together
    from klaviyo_assets.settings import Settings

    store_together()
    settings = Settings()
    return dg.Definitions.merge(build_definitions(settings), dg.Definitions(executor=executor_of(settings)))


def __dir__() -> list[str]:
    """Dagster looks for `defs` among these names."""
    return sorted({*globals(), *__all__})
