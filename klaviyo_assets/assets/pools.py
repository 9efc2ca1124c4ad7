"""Dagster's pools: with a limit of one, one process at a time uses a rate limit of an account."""

from __future__ import annotations

from typing import Literal

import dagster as dg

from klaviyo_assets.settings import Settings

Group = Literal["events", "profiles", "small"]
GROUPS: tuple[Group, ...] = ("events", "profiles", "small")
"""What has limits of its own and is much: events, and profiles; and all that is soon read."""


def pool(settings: Settings, group: Group) -> str:
    """Return the pool of the steps that read from a group."""
    return f"klaviyo_{settings.name}_{group}"


def without_limit(settings: Settings, instance: dg.DagsterInstance) -> list[str]:
    """Return the pools of an account that let several steps in at once."""
    default = instance.get_concurrency_config().pool_config.default_pool_limit
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    return [name for group in GROUPS if limits.get(name := pool(settings, group), default) != 1]
