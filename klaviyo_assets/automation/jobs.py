"""The jobs. Event and person take their range from Dagster's own range tags, or from one partition key."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from klaviyo_assets.assets.days import RANGE_END, RANGE_START
from klaviyo_assets.assets.step import INCREMENTAL
from klaviyo_assets.settings import Settings

__all__ = ["RANGE_END", "RANGE_START", "build_jobs"]


def build_jobs(
    settings: Settings,
    executor: dg.ExecutorDefinition,
    *,
    incremental: Sequence[dg.AssetsDefinition],
    whole: Sequence[dg.AssetsDefinition],
    history: dg.AssetsDefinition,
    reconciliation: dg.AssetsDefinition,
) -> list[dg.UnresolvedAssetJobDefinition]:
    """Return `klaviyo_sync`, `klaviyo_backfill` and `klaviyo_full_refresh`.

    executor: runs their steps.
    incremental: the assets with partitions. whole: the tables without.
    history, reconciliation: what says how event and person are doing.
    """
    return [
        dg.define_asset_job(
            f"{settings.name}_sync",
            _all(*incremental, *whole, history, reconciliation),
            description="Event and person from their watermarks to now, and every table that is due. Days of the "
            "range tags before the watermark are read only if they never were.",
            tags={INCREMENTAL: "true"},
            executor_def=executor,
        ),
        dg.define_asset_job(
            f"{settings.name}_backfill",
            _all(*incremental, history),
            description="Event and person of the days in the range tags, each day read completely. For the whole "
            "history start the backfill sensor instead: it goes by chunks and stops at the account's first event.",
            executor_def=executor,
        ),
        dg.define_asset_job(
            f"{settings.name}_full_refresh",
            _all(*whole),
            description="Every table that is imported as a whole, now. Takes no partition.",
            executor_def=executor,
        ),
    ]


def _all(*assets: dg.AssetsDefinition) -> dg.AssetSelection:
    keys = dg.AssetSelection.assets(*assets)
    return keys | dg.AssetSelection.checks_for_assets(*assets)
