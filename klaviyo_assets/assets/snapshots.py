"""Tables that are imported as a whole: a snapshot, a check on it, and the table that it is published to."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import NotPermitted
from klaviyo_assets.assets.advice import suspicion
from klaviyo_assets.assets.losses import warn_of_lost
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.run_tags import is_incremental
from klaviyo_assets.assets.specs import asset_out, snapshot_key, snapshot_spec, table_spec
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import noting
from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_due, is_unpublished
from klaviyo_assets.sync.reads import READS, Read
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.extract import Extract, Publication
from klaviyo_assets.warehouse.guard import FEW_WAIT, is_suspicious
from klaviyo_assets.warehouse.results import Shrinkage
from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState


class SnapshotConfig(dg.Config):
    """What a run may decide about a snapshot."""

    only_due: bool | None = Field(
        default=None,
        description="Leave out tables whose last snapshot is younger than their cadence. Default: only in syncs.",
    )


class PublishConfig(dg.Config):
    """What a run may decide about publishing a table."""

    accept_shrink: bool = Field(
        default=False,
        description="Flag rows as deleted even if they are more than `delete_guard` allows.",
    )


def build_snapshots(settings: Settings) -> tuple[list[dg.AssetsDefinition], list[dg.AssetsDefinition]]:
    """Return the snapshots (one multi-asset a family) with a check each, and the tables that they are published to."""
    tables = [settings.table(table) for table in TABLES if table.family in READS and settings.enabled(table)]
    families = {
        family: [table for table in tables if table.family == family]
        for family in dict.fromkeys(t.family for t in tables)
    }
    return (
        [_snapshot(settings, family, members, READS[family]) for family, members in families.items()],
        [_published(settings, table) for table in tables],
    )


def _snapshot(settings: Settings, family: str, tables: Sequence[Table], read: Read) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{settings.name}{STAGING}__{family}",
        outs={
            table.name: asset_out(settings, snapshot_spec(settings, table), Extract, is_required=False)
            for table in tables
        },
        check_specs=[_check_spec(settings, table) for table in tables if table.captures_deletes],
        can_subset=True,
        required_resource_keys={settings.name},
    )
    def snapshot(
        context: dg.AssetExecutionContext, config: SnapshotConfig
    ) -> Iterator[dg.Output[Extract] | dg.AssetCheckResult]:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        chosen = [table for table in tables if table.name in context.op_execution_context.selected_output_names]
        use = account.usage()
        start = account.start(context.log.warning, chosen)
        if is_incremental(context, config.only_due) and not any(
            is_due(settings, start.states, table.name, SNAPSHOT, table.cadence, start.now)
            or is_unpublished(start.states, table.name)
            for table in chosen
        ):
            context.log.info(f"The {family} are not due yet.")
            return
        with ExitStack() as stack:
            writers = {table.name: SpoolWriter(table, stack.enter_context(temporary_spool())) for table in chosen}
            try:
                with noting() as misshapen:
                    for rows in read(account):
                        for table in chosen:
                            writers[table.name].add(Columns.of_rows(rows.get(table.name, []), table.types))
            except NotPermitted as error:
                skip_or_raise(settings, context, error, tables)
                return
            for writer in writers.values():
                writer.close()
            used = {**use(), **warn_of_lost(context, chosen, misshapen, *(writer.lost for writer in writers.values()))}
            for table in chosen:
                # What an answer of another shape lacks is not gone.
                lacking = misshapen or set(table.primary_key) & writers[table.name].lost.keys()
                state = SyncState(
                    table.name, SNAPSHOT, synced_through=start.now, complete=not lacking, run_id=context.run.run_id
                )
                extract = Extract(
                    table,
                    spool=writers[table.name].spool,
                    began=start.began,
                    snapshot=True,
                    states=(state,),
                    metadata=lambda: used,
                )
                yield dg.Output(extract, output_name=table.name)
                # The IO manager has stored it by now.
                if _check_spec(settings, table).key in context.selected_asset_check_keys:
                    yield _check(settings, table, account.warehouse.shrinkage(table))

    return snapshot


def skip_or_raise(
    settings: Settings, context: dg.AssetExecutionContext, error: NotPermitted, tables: Sequence[Table]
) -> None:
    """Say which tables the API key does not allow: in a warning or, if the settings say so, as a dagster.Failure."""
    names = ", ".join(table.name for table in tables)
    if settings.missing_scope == "fail":
        raise dg.Failure(
            f"{error} The setting `missing_scope: fail` has it fail, rather than skip {names}.", allow_retries=False
        ) from None
    context.log.warning(f"Skipped {names}: {error}")


def _published(settings: Settings, table: Table) -> dg.AssetsDefinition:
    dependents = tuple(
        dependent
        for dependent in map(settings.table, TABLES)
        if settings.enabled(dependent) and any(lookup.table == table.name for lookup in dependent.lookups)
    )

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, table_spec(settings, table, group="tables"), Publication)},
        deps=[snapshot_key(settings, table.name)],
    )
    def published(config: PublishConfig) -> Publication:
        return Publication(
            table,
            infers_deletes=table.captures_deletes,
            accept_shrink=config.accept_shrink,
            dependents=dependents,
        )

    return published


def _check_spec(settings: Settings, table: Table) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        "not_suspiciously_small",
        asset=snapshot_key(settings, table.name),
        description="An empty or badly shrunk snapshot flags no rows as deleted when it is published.",
    )


def _check(settings: Settings, table: Table, shrinkage: Shrinkage) -> dg.AssetCheckResult:
    """Say whether a snapshot lacks too many rows. It need not block: publishing goes by the same rule."""
    live, going, staged = shrinkage
    suspicious = is_suspicious(table, live=live, going=going, guard=settings.delete_guard)
    settles = going <= FEW_WAIT
    return dg.AssetCheckResult(
        passed=not suspicious,
        severity=dg.AssetCheckSeverity.WARN if settles else dg.AssetCheckSeverity.ERROR,
        asset_key=snapshot_key(settings, table.name),
        check_name="not_suspiciously_small",
        description=suspicion(table.name, live, going, settings.delete_guard, settles=settles) if suspicious else None,
        metadata={"snapshot_rows": staged, "live_rows": live, "rows_that_would_be_deleted": going},
    )
