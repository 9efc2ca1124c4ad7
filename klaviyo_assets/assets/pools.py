"""Dagster's pools: with a limit of one, one process at a time uses a rate limit of an account."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import dagster as dg

from klaviyo_assets.settings import Settings

Group = Literal["events", "profiles", "small"]
GROUPS: tuple[Group, ...] = ("events", "profiles", "small")
"""What has limits of its own and is much: events, and profiles; and all that is soon read."""


def pool(settings: Settings, group: Group) -> str:
    """Return the pool of the steps that read from a group."""
    return f"klaviyo_{settings.name}_{group}"


def pools(settings: Settings) -> list[str]:
    """Return the pools of an account."""
    return [pool(settings, group) for group in GROUPS]


def without_limit(pools: Iterable[str], instance: dg.DagsterInstance) -> list[str]:
    """Return those of some pools that let several steps in at once."""
    default = instance.get_concurrency_config().pool_config.default_pool_limit
    # What is stored of a default is the one of earlier, until a step asks for a place.
    limits = {each.name: each.limit for each in instance.event_log_storage.get_pool_limits() if not each.from_default}
    return [name for name in pools if limits.get(name, default) != 1]
