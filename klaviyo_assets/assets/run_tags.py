"""The tags that tell a run what it is for."""

from __future__ import annotations

import dagster as dg

INCREMENTAL = "klaviyo_assets/incremental"
"""Tag of runs that read only what is new and what is due. (A tag, because Dagster drops the config of a job with
partitions when it is launched for a range.)"""


UNREAD_ONLY = "klaviyo_assets/unread_only"
"""Tag of runs that want days that have never been read: nothing is read if that has happened since."""


def is_unread_only(context: dg.AssetExecutionContext) -> bool:
    """Return whether the run is there only for days that have never been read."""
    return context.run.tags.get(UNREAD_ONLY) == "true"


def is_incremental(context: dg.AssetExecutionContext, chosen: bool | None) -> bool:
    """Return what the run's config says, else what the run's job is for."""
    return context.run.tags.get(INCREMENTAL) == "true" if chosen is None else chosen
