"""Tables that are imported as a whole: a snapshot, a check on it, and the table that it is published to."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from klaviyo_assets.assets.advice import advised, suspicion
from klaviyo_assets.assets.described import DescribedAssets, asset_out, deps_of
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.slow import snapshot_step
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import PublishConfig, SnapshotConfig, Step, chosen
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_snapshot_due
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.extract import Extract, Publication
from klaviyo_assets.warehouse.guard import FEW_WAIT, is_suspicious
from klaviyo_assets.warehouse.results import Shrinkage
from klaviyo_assets.warehouse.state import SNAPSHOT


def build_snapshots(described: DescribedAssets) -> tuple[list[dg.AssetsDefinition], list[dg.AssetsDefinition]]:
    """Return the snapshots (one multi-asset a family) with a check each, and the tables that they are published to."""
    settings = described.settings
    tables = [settings.table(table) for table in TABLES if table.family in READS and settings.enabled(table)]
    families = {
        family: [table for table in tables if table.family == family]
        for family in dict.fromkeys(t.family for t in tables)
    }
    return (
        [_snapshot(described, family.name, members) for family, members in families.items()],
        [_published(described, table) for table in tables],
    )


def _snapshot(described: DescribedAssets, family: str, tables: Sequence[Table]) -> dg.AssetsDefinition:
    settings = described.settings
    specs = {table.name: described.snapshot(table.name) for table in tables}
    check_specs = {table.name: _check_spec(table, specs[table.name].key) for table in tables if table.captures_deletes}

    @dg.multi_asset(
        name=snapshot_step(settings, family),
        outs={name: asset_out(settings, spec, Extract, is_required=False) for name, spec in specs.items()},
        deps=deps_of(specs.values()),
        check_specs=list(check_specs.values()),
        can_subset=True,
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "small")),
    )
    @described.options.executed
    def snapshot(
        context: dg.AssetExecutionContext, config: SnapshotConfig
    ) -> Iterator[dg.Output[Extract] | dg.AssetCheckResult]:
        wanted = chosen(context, tables)
        alone = [table for table in tables if table not in wanted and _is_checked(context, check_specs, table)]
        account: KlaviyoAccount = getattr(context.resources, account_key(settings))
        for table in alone:
            with advised():
                shrinkage = account.warehouse.shrinkage(table)
            if shrinkage:
                yield _check(settings, table, check_specs[table.name], shrinkage)
        if not wanted:
            return

        with Step(settings, context, wanted) as step:
            due = is_snapshot_due(settings, step.states, wanted, step.now)
            if step.skips(config, due=due, what=f"The {family} are"):
                return
            writers = step.spool_snapshots(wanted)
            used = {**step.used(), **step.losses(*(writer.lost for writer in writers.values()))}
            for table in wanted:
                # What an answer of another shape lacks is not gone, nor what the read left out.
                partial = step.misshapen or step.misshapen.partial
                lacking = partial or set(table.primary_key) & writers[table.name].lost.keys()
                extract = Extract(
                    table,
                    spool=writers[table.name].spool,
                    began=step.began,
                    snapshot=True,
                    states=(step.state(table.name, SNAPSHOT, complete=not lacking),),
                    metadata=lambda: used,
                )
                yield dg.Output(extract, output_name=table.name)
                # The IO manager has stored it by now.
                if extract.shrinkage and _is_checked(context, check_specs, table):
                    yield _check(settings, table, check_specs[table.name], extract.shrinkage)

    return snapshot


def _published(described: DescribedAssets, table: Table) -> dg.AssetsDefinition:
    settings, spec = described.settings, described.table(table.name)
    snapshot = described.snapshot(table.name).key.to_user_string()
    dependents = tuple(
        dependent
        for dependent in map(settings.table, TABLES)
        if settings.enabled(dependent) and any(lookup.table == table.name for lookup in dependent.lookups)
    )

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, spec, Publication)},
        deps=deps_of([spec]),
        **described.options.of_asset(),
    )
    @described.options.executed
    def published(context: dg.AssetExecutionContext, config: PublishConfig) -> Iterator[dg.Output[Publication]]:
        publication = Publication(
            table,
            infers_deletes=table.captures_deletes,
            accept_shrink=config.accept_shrink,
            dependents=dependents,
            snapshot=snapshot,
        )
        yield dg.Output(publication, output_name=table.name)

    return published


def _is_checked(context: dg.AssetExecutionContext, checks: Mapping[str, dg.AssetCheckSpec], table: Table) -> bool:
    """Return whether the run wants the check on the snapshot of a table. checks: by the names of tables."""
    return table.name in checks and checks[table.name].key in context.selected_asset_check_keys


def _check_spec(table: Table, snapshot: dg.AssetKey) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        "not_suspiciously_small",
        asset=snapshot,
        description="An empty or badly shrunk snapshot flags no rows as deleted when it is published.",
    )


def _check(settings: Settings, table: Table, spec: dg.AssetCheckSpec, shrinkage: Shrinkage) -> dg.AssetCheckResult:
    """Say whether a snapshot lacks too many rows. It need not block: publishing goes by the same rule."""
    live, going, staged = shrinkage
    suspicious = is_suspicious(table, live=live, going=going, guard=settings.delete_guard)
    settles = going <= FEW_WAIT
    return dg.AssetCheckResult(
        passed=not suspicious,
        severity=dg.AssetCheckSeverity.WARN if settles else dg.AssetCheckSeverity.ERROR,
        asset_key=spec.asset_key,
        check_name=spec.name,
        description=suspicion(table.name, live, going, settings.delete_guard, settles=settles) if suspicious else None,
        metadata={"snapshot_rows": staged, "live_rows": live, "rows_that_would_be_deleted": going},
    )
