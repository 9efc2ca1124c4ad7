"""A process that runs the steps of an account, without Dagster: everything that Dagster would call, and only that."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from klaviyo_assets.assets.days import RANGE_END, RANGE_START
from klaviyo_assets.sync.ranges import DAY, midnight

LOG = logging.getLogger("simulation")
LOG.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Op:
    """A step of the account. assets: output -> key. upstream: the assets that they depend on."""

    name: str
    body: Callable[..., Iterator[Any]]
    assets: Mapping[str, dg.AssetKey]
    config: type[dg.Config] | None
    upstream: frozenset[dg.AssetKey]


def ops_of(definitions: dg.Definitions, job: str) -> list[Op]:
    """Return the steps of a job but its checks, in an order that Dagster might choose: what is read before what is
    published."""
    found = []
    keys = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    for assets in definitions.assets or ():
        if isinstance(assets, dg.AssetsDefinition) and assets.is_executable and assets.keys & keys:
            body = assets.op.compute_fn.decorated_fn  # type: ignore[union-attr]
            config = body.__annotations__.get("config")
            upstream = frozenset().union(*assets.asset_deps.values())
            found.append(Op(assets.op.name, body, assets.keys_by_output_name, config, upstream))
    return found


@dataclass
class Context:
    """What the steps ask of Dagster's context."""

    resources: Any
    tags: Mapping[str, str]
    run_id: str
    op: Op
    selected: set[str]
    log: logging.Logger = LOG

    @property
    def run(self) -> Context:
        return self

    @property
    def op_execution_context(self) -> Context:
        return self

    @property
    def op_handle(self) -> Op:
        return self.op

    @property
    def selected_output_names(self) -> set[str]:
        return self.selected

    @property
    def selected_asset_check_keys(self) -> set[dg.AssetCheckKey]:
        return set()

    @property
    def has_partition_key(self) -> bool:
        return False

    @property
    def has_partition_key_range(self) -> bool:
        return RANGE_START in self.tags

    @cached_property
    def partition_time_window(self) -> Any:
        first, last = (dt.date.fromisoformat(self.tags[name]) for name in (RANGE_START, RANGE_END))
        start, end = (midnight(dt.datetime.combine(day, dt.time(), dt.UTC)) for day in (first, last))
        return dg.TimeWindow(start, end + DAY)

    @property
    def partition_keys(self) -> list[str]:
        window = self.partition_time_window
        return [(window.start + n * DAY).date().isoformat() for n in range((window.end - window.start).days)]


@dataclass
class Output:
    """What the IO manager asks of Dagster's context."""

    asset_key: dg.AssetKey
    run_id: str
    log: logging.Logger = LOG
    has_asset_partitions: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        self.metadata |= metadata
