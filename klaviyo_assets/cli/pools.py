"""Whether Dagster lets one process at a time use a rate limit of an account, where several could."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.exc import SQLAlchemyError

from klaviyo_assets import environment
from klaviyo_assets.assets.pools import pools, without_limit
from klaviyo_assets.cli.places import default_home, variables
from klaviyo_assets.settings import Settings


def of_pools(settings: Settings) -> Iterator[str]:
    """Yield what is to be said about the pools of an account.

    Nothing, if processes share the limits in another way, or if all of them are on one machine: there only a sync and a
    chunk of the history may meet, and what one uses slows down the other.
    """
    if settings.rate_limits or Fraction(settings.rate_share) < 1:
        return
    home = environment.get("DAGSTER_HOME") or str(default_home(settings).absolute())
    on_one_machine, unlimited = True, pools(settings)  # by Dagster's defaults
    try:
        if (Path(home) / "dagster.yaml").exists():
            with variables(DAGSTER_HOME=home), dg.DagsterInstance.from_ref(InstanceRef.from_dir(home)) as instance:
                on_one_machine = isinstance(instance.run_launcher, DefaultRunLauncher) and isinstance(
                    instance.event_log_storage, SqliteEventLogStorage
                )
                unlimited = without_limit(unlimited, instance)
    except (dg.DagsterError, ImportError, OSError, SQLAlchemyError, yaml.YAMLError) as error:
        yield f"Dagster's instance in {home} can't be opened here ({type(error).__name__}): its pools are unknown."
        return
    if unlimited and not (on_one_machine and settings.executor == "in_process"):
        commands = "; ".join(f"dagster instance concurrency set {name} 1" for name in unlimited)
        yield (
            "Several processes may each use the whole of the account's rate limits, as these pools have no limit of 1. "
            f"Run `{commands}`, or write `concurrency: {{pools: {{default_limit: 1}}}}` into dagster.yaml; or have the "
            "processes count their requests together: the setting `rate_limits`."
        )
