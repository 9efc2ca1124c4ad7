"""Storages for Dagster itself, to be named in `dagster.yaml`."""

from klaviyo_assets.dagster_storage.event_log import OpenEventLogStorage

__all__ = ["OpenEventLogStorage"]
