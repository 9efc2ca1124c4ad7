"""What every asset is called, and what it says of itself, may be decided by the project that it is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import dagster as dg

from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.table import Table

AssetKind = Literal["table", "snapshot", "pass", "progress", "model", "report"]
"""What an asset is: a table; its import before publishing; a pass over the rows of PERSON; what says how the sync is
doing; a model of dbt; the report."""


@dataclass(frozen=True)
class KlaviyoAssetProps:
    """What there is to know of an asset.

    settings: of its account. kind: what it is. name: its own, without the account's: `event`, `klaviyo__campaigns`.
    spec: what it says of itself unless a translator says otherwise; the keys of what it depends on are translated.
    table: with columns and keys; None if it is no table of Klaviyo.
    """

    settings: Settings
    kind: AssetKind
    name: str
    spec: dg.AssetSpec
    table: Table | None = None


class DagsterKlaviyoTranslator:
    """Decides what the assets of an account are called and what they say of themselves; this one leaves all as it is.

    What it is asked for twice it has to answer alike: checks, jobs, schedules, sensors and the IO manager go by the
    keys that it gives. It may add dependencies, but take none away. Partitions are not its to decide: they are the days
    of EVENT and PERSON, which runs ask Klaviyo for.

    Example:
        >>> class Raw(DagsterKlaviyoTranslator):
        ...     def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
        ...         spec = super().get_asset_spec(props)
        ...         if props.kind == "table":
        ...             spec = spec.replace_attributes(key=["raw", *spec.key.path], group_name="raw")
        ...         return spec.merge_attributes(tags={"source": "klaviyo"})
        >>> from klaviyo_assets import Settings, build_definitions
        >>> definitions = build_definitions(Settings(), translator=Raw())
        >>> definitions.resolve_assets_def(["raw", "klaviyo", "event"]).group_names_by_key[
        ...     dg.AssetKey(["raw", "klaviyo", "event"])
        ... ]
        'raw'
    """

    def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
        """Return what an asset says of itself; to be overridden. See `dg.AssetSpec.replace_attributes`."""
        return props.spec
