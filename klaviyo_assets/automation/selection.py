"""Which assets a sync has to be asked for: not those of which the last one said that they are not due yet.

Said by `klaviyo/history`, which ends every sync, by the rule that the steps themselves leave out tables by. In doubt
everything is asked for: a step that is not due after all reads nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection
from typing import Any

import dagster as dg

from klaviyo_assets.assets.described import HISTORY, DescribedAssets
from klaviyo_assets.assets.history import NEXT_DUE
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.run_status import ASSET_JOB, LONGEST_RUN, UNFINISHED
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.sync.due import fingerprint
from klaviyo_assets.warehouse.duckdb.location import file_of
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.location import kind_of

_log = logging.getLogger(__name__)

JOBS = ("sync", "backfill", "full_refresh", "resync", "rewrite")
"""Jobs that write to the warehouse, or forget what it knows."""


def assets_to_ask_for(
    described: DescribedAssets, instance: dg.DagsterInstance, assets: Collection[dg.AssetKey], now: dt.datetime
) -> list[dg.AssetKey] | None:
    """Return those of the assets that may be due; None: all of them. now: the time of the sync."""
    waiting = _not_due(described, instance, now)
    asked = sorted(key for key in assets if key.to_user_string() not in waiting)
    return asked if len(asked) < len(assets) else None


def ask_for_all(described: DescribedAssets, instance: dg.DagsterInstance) -> None:
    """Have the next sync asked for every table: what an earlier one said is not due was of rows that are gone.

    That is so if a copy from before an adoption was restored.
    """
    key = described.key(HISTORY)
    if latest_record(instance, key):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, "The schema was taken over."))


def latest_record(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    """Return the latest materialization of an asset."""
    records = instance.fetch_materializations(key, limit=1).records
    return records[0] if records else None


def _not_due(described: DescribedAssets, instance: dg.DagsterInstance, now: dt.datetime) -> set[str]:
    settings = described.settings
    record = latest_record(instance, described.key(HISTORY))
    materialization = record.asset_materialization if record else None
    said = materialization.metadata.get(NEXT_DUE) if materialization else None
    value: Any = said.value if said else {}
    if record is None or value.get("settings") != fingerprint(settings):
        return set()
    if _is_gone(settings):
        return set()
    if _changed_since(settings, instance, record):
        return set()
    return {asset for asset, due in value["assets"].items() if now < dt.datetime.fromisoformat(due)}


def _is_gone(settings: Settings) -> bool:
    """Return whether the warehouse was removed since, or emptied, as far as can be told from here.

    A server that does not answer, or not to this machine, has lost nothing that anybody knows of.
    """
    if kind_of(settings.warehouse) == "duckdb":
        file = file_of(settings.warehouse)
        return file is not None and not file.exists()
    try:
        return not warehouse_of(settings, lock_timeout=1).states()
    except (WarehouseError, SettingsError) as error:
        _log.info("Whether the warehouse is as the last sync has left it can't be told from here: %s", error)
        return False


def _changed_since(settings: Settings, instance: dg.DagsterInstance, record: dg.EventLogRecord) -> bool:
    """Return whether a run has done anything since, or the one that spoke has failed: it may have left work behind."""
    spoken = dt.datetime.fromtimestamp(record.timestamp, dt.UTC)
    jobs = {ASSET_JOB, *(f"{settings.name}_{job}" for job in JOBS)}
    spoke = instance.get_run_by_id(record.run_id)
    if spoke is None or spoke.status != dg.DagsterRunStatus.SUCCESS:
        return True
    since = dg.RunsFilter(updated_after=spoken)
    unfinished = dg.RunsFilter(
        statuses=[*UNFINISHED], created_after=spoken - LONGEST_RUN
    )  # it may have been killed since
    runs = [*instance.get_runs(since), *instance.get_runs(unfinished)]
    return any(run.job_name in jobs for run in runs if run.run_id != record.run_id)
