"""The assets of an account as a translator has them: the one place that knows their keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import replace

import dagster as dg

from klaviyo_assets.assets.io_manager import PARTITION_EXPR, SNAPSHOT_OF, TABLE
from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.assets.specs import (
    backfill_sensor_name,
    io_manager_key,
    pass_spec,
    progress_spec,
    snapshot_spec,
    table_spec,
)
from klaviyo_assets.assets.translator import AssetKind, DagsterKlaviyoTranslator, KlaviyoAssetProps
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.sync.scopes import RECONCILIATION
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.lists import LIST_PERSON
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.registry import table as table_named
from klaviyo_assets.tables.segments import SEGMENT_PERSON
from klaviyo_assets.tables.table import WEEKLY, Table

HISTORY = "history"
PERSON_DELETES = "person_deletes"
PERSON_PREDICTIONS = "person_predictions"
"""Names of assets that are no tables, as is `RECONCILIATION`."""

PARENTS = {LIST_PERSON.name: "list", SEGMENT_PERSON.name: "segment"}
"""Table of memberships -> that of what they are memberships of."""

_PASSES = {
    PERSON_DELETES: "Flags the profiles that were deleted, or merged into others: Klaviyo does not say so, it just no "
    "longer returns them. Once a week all ids are read; an id that is missing is asked for once more before it is "
    "flagged.",
    PERSON_PREDICTIONS: "Fills PERSON's predictive_analytics columns once a week. Klaviyo allows a fifth of the usual "
    "rate for them.",
}

_NEEDED = (TABLE, SNAPSHOT_OF, PARTITION_EXPR, "dagster/io_manager_key")
"""Metadata that the assets are written and read by."""


class DescribedAssets:
    """What the assets of an account are called, and what they say of themselves.

    settings: of the account. translator: has the last word. options: of the steps that make them.
    """

    def __init__(
        self,
        settings: Settings,
        translator: DagsterKlaviyoTranslator | None = None,
        options: StepOptions | None = None,
    ) -> None:
        options = options or StepOptions()
        self.settings, self.options = settings, replace(options, tags={**settings.op_tags, **options.tags})
        self._translator = translator or DagsterKlaviyoTranslator()
        self._specs: dict[tuple[AssetKind, str], dg.AssetSpec] = {}

    def table(self, name: str) -> dg.AssetSpec:
        """Describe a table."""
        table = self.settings.table(table_named(name))
        parent = PARENTS.get(name)

        def spec() -> dg.AssetSpec:
            parents = [self.key(parent)] if parent else []
            parents += [self.snapshot(name).key] if table.family in READS else []
            return table_spec(self.settings, table, [dg.AssetDep(key) for key in parents])

        return self.translated("table", name, spec, table)

    def snapshot(self, name: str) -> dg.AssetSpec:
        """Describe the snapshot of a table."""
        table = self.settings.table(table_named(name))
        return self.translated("snapshot", name, lambda: snapshot_spec(self.settings, table), table)

    def pass_over_person(self, name: str) -> dg.AssetSpec:
        """Describe a pass over PERSON."""
        return self.translated(
            "pass", name, lambda: pass_spec(self.settings, name, _PASSES[name], [self.latest_day(PERSON)])
        )

    def progress(self, name: str) -> dg.AssetSpec:
        """Describe `HISTORY` or `RECONCILIATION`."""
        return self.translated("progress", name, self._history if name == HISTORY else self._reconciliation)

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of a table, a pass, or what says how the sync is doing."""
        if name in _PASSES:
            return self.pass_over_person(name).key
        return (self.progress(name) if name in (HISTORY, RECONCILIATION) else self.table(name)).key

    def latest_day(self, table: Table) -> dg.AssetDep:
        """Depend on the newest partition of EVENT or PERSON: Dagster would list all days since 2012 in every run."""
        return dg.AssetDep(self.key(table.name), partition_mapping=dg.LastPartitionMapping())

    def translated(
        self, kind: AssetKind, name: str, make: Callable[[], dg.AssetSpec], table: Table | None = None
    ) -> dg.AssetSpec:
        """Return a description as the translator has it, and as the asset can work with. make: gives that without one.

        Raises ValueError if the translator gives no description, partitions, or the key of another asset.
        """
        if (kind, name) not in self._specs:
            spec = make()
            found = self._translator.get_asset_spec(KlaviyoAssetProps(self.settings, kind, name, spec, table))
            self._specs[kind, name] = self._usable(spec, found, f"the {kind} {name}")
        return self._specs[kind, name]

    def _usable(self, spec: dg.AssetSpec, found: dg.AssetSpec, what: str) -> dg.AssetSpec:
        account = f"{type(self._translator).__name__}.get_asset_spec of the account {self.settings.name}"
        if not isinstance(found, dg.AssetSpec):
            raise ValueError(f"{account} has to return a dagster.AssetSpec for {what}, not {found!r}.")
        if found.partitions_def is not None:
            raise ValueError(
                f"{account} gives {what} partitions. They can't be chosen: event and person have the days that runs "
                "ask Klaviyo for, from the setting `history_start` on, and the others have none."
            )
        for (kind, name), other in self._specs.items():
            if other.key == found.key:
                raise ValueError(
                    f"{account} gives {what} and the {kind} {name} the same key {found.key.to_user_string()}: each "
                    "asset needs one of its own, such as the one that it has with another prefix."
                )
        own = {dep.asset_key for dep in spec.deps}
        return found.replace_attributes(
            deps=[*spec.deps, *(dep for dep in found.deps if dep.asset_key not in own)], skippable=spec.skippable
        ).merge_attributes(metadata={name: spec.metadata[name] for name in _NEEDED if name in spec.metadata})

    def _history(self) -> dg.AssetSpec:
        return progress_spec(
            self.settings,
            HISTORY,
            "How far back EVENT and PERSON have been read. The first sync brings the latest days; "
            f"`{backfill_sensor_name(self.settings)}` has older ones read, newest first, until `history_start` or the "
            "account's first event.",
        )

    def _reconciliation(self) -> dg.AssetSpec:
        return progress_spec(
            self.settings,
            RECONCILIATION,
            "Once a week the number of events of each metric and day is compared with Klaviyo's own; "
            f"`{backfill_sensor_name(self.settings)}` has the days that differ read again. Events that are dated back "
            "are found this way.",
            fresh_for=WEEKLY + dt.timedelta(days=1),
            deps=[self.latest_day(EVENT)],
        )


def enabled_tables(settings: Settings) -> list[Table]:
    """Return the tables that the settings ask for."""
    off = PARENTS if settings.memberships == "off" else {}
    return [table for table in TABLES if settings.enabled(table) and table.name not in off]


def asset_out(settings: Settings, spec: dg.AssetSpec, type_: type, *, is_required: bool = True) -> dg.AssetOut:
    """Make an asset's output: written by the account's IO manager. What it depends on is its step's to say (`deps_of`).

    type_: what the step returns.
    """
    return dg.AssetOut.from_spec(
        spec.replace_attributes(deps=[]),
        dagster_type=type_,
        is_required=is_required,
        io_manager_key=io_manager_key(settings),
    )


def deps_of(specs: Iterable[dg.AssetSpec]) -> list[dg.AssetDep]:
    """Return what the assets of a step depend on."""
    return list({dep.asset_key: dep for spec in specs for dep in spec.deps}.values())


def with_own_io_manager(settings: Settings, assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Have results of checks go through the account's IO manager as well; return the assets.

    Nothing is stored, but a run would make the `io_manager` of the project, which may need what the run does not have.
    Dagster's decorators have no argument for it.
    """
    for output in assets.node_def.output_defs:
        if output.io_manager_key == "io_manager":
            output._io_manager_key = io_manager_key(settings)
    return assets
