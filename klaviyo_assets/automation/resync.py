"""The job that has tables imported anew."""

from collections.abc import Collection

import dagster as dg
from pydantic import Field

from klaviyo_assets.assets.described import DescribedAssets
from klaviyo_assets.assets.specs import io_manager_key
from klaviyo_assets.automation.run_status import require_idle
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.warehouse import Warehouse

CONFIRMATION = "resync"


class ResyncConfig(dg.Config):
    """What is to be imported anew."""

    confirm: str = Field(description=f"The word `{CONFIRMATION}`: without it, nothing happens.")
    tables: list[str] = Field(default_factory=list, description="Names of tables, such as `event`. Default: all.")


def build_resync(
    described: DescribedAssets, executor: dg.ExecutorDefinition, *, others: Collection[str]
) -> dg.JobDefinition:
    """Return `klaviyo_resync`. executor: runs its step. others: jobs that must not be in progress meanwhile."""
    settings = described.settings
    warehouse_key = f"{settings.name}_warehouse"

    @dg.op(
        name=f"{settings.name}__forget",
        required_resource_keys={warehouse_key},
        out=dg.Out(dg.Nothing, io_manager_key=io_manager_key(settings)),
        **described.options.of_op(),
    )
    def forget(context: dg.OpExecutionContext, config: ResyncConfig) -> None:
        tables = confirmed_tables(config.confirm, CONFIRMATION, config.tables)
        require_idle(context.instance, others, [described.key(table.name) for table in TABLES])
        warehouse: Warehouse = getattr(context.resources, warehouse_key)
        known = warehouse.forget(tables)
        context.log.info(f"The next sync imports anew: {', '.join(known) or 'nothing, no such table was synced yet'}.")

    @dg.job(
        executor_def=executor,
        name=f"{settings.name}_resync",
        description="Forgets how far all or chosen tables are synced: the next sync imports them anew, newest days "
        "first. Rows stay readable; those that Klaviyo no longer has are flagged as they are found missing.",
    )
    def resync() -> None:
        forget()

    return resync


def confirmed_tables(confirmed: str, confirmation: str, tables: list[str]) -> list[str]:
    """Return the chosen tables, all if none is chosen; raises dagster.Failure unless the user means it."""
    if confirmed != confirmation:
        raise dg.Failure(
            f"Nothing was changed: set `confirm: {confirmation}` in the run's config if you mean it.",
            allow_retries=False,
        )
    known = [table.name for table in TABLES]
    unknown = sorted(set(tables) - set(known))
    if unknown:
        raise dg.Failure(f"There is no table {', '.join(unknown)}.", allow_retries=False)
    return tables or known
