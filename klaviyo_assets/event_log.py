"""The former name of `klaviyo_assets.dagster_storage`, which a dagster.yaml may still have."""

from klaviyo_assets.dagster_storage import OpenEventLogStorage

__all__ = ["OpenEventLogStorage"]
