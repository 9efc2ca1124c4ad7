"""The job that removes or hashes values which were written before their columns were blocked or hashed."""

from collections.abc import Collection

import dagster as dg
from pydantic import Field

from klaviyo_assets.assets.described import DescribedAssets
from klaviyo_assets.assets.specs import io_manager_key
from klaviyo_assets.automation.resync import confirmed_tables
from klaviyo_assets.automation.run_status import require_idle
from klaviyo_assets.privacy.policy import MissingSalt, salt
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.registry import table as table_named
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.warehouse import Warehouse

CONFIRMATION = "rewrite"

LEFT_ON_A_SERVER = (
    "The server itself still has the old values in dead rows: `VACUUM FULL` of the tables in {schema} and "
    "{schema}_staging removes them, and locks each table meanwhile. Its backups and its archive of the WAL keep them "
    "until they are removed."
)
"""What a new file does for DuckDB, nobody but the server's owner can do there."""


class RewriteConfig(dg.Config):
    """What is to be rewritten."""

    confirm: str = Field(description=f"The word `{CONFIRMATION}`: without it, nothing happens.")
    tables: list[str] = Field(default_factory=list, description="Names of tables, such as `event`. Default: all.")
    new_file: bool = Field(
        default=True,
        description="Afterwards copy a DuckDB database to a new file that takes the place of the old one, in whose "
        "free blocks the old values would still be. Needs as much disk space again for a while.",
    )


def build_rewrite(
    described: DescribedAssets, executor: dg.ExecutorDefinition, *, others: Collection[str]
) -> dg.JobDefinition:
    """Return `klaviyo_rewrite`. executor: runs its step. others: jobs that must not be in progress meanwhile."""
    settings = described.settings
    warehouse_key = f"{settings.name}_warehouse"

    @dg.op(
        name=f"{settings.name}__rewrite",
        required_resource_keys={warehouse_key},
        out=dg.Out(dg.Nothing, io_manager_key=io_manager_key(settings)),
        **described.options.of_op(),
    )
    def rewrite_values(context: dg.OpExecutionContext, config: RewriteConfig) -> None:
        tables = confirmed_tables(config.confirm, CONFIRMATION, config.tables)
        require_idle(context.instance, others, [described.key(table.name) for table in TABLES])
        if settings.privacy.hashes:
            try:
                salt(settings.hash_salt_variable)
            except MissingSalt as error:
                raise dg.Failure(str(error), allow_retries=False) from None
        warehouse: Warehouse = getattr(context.resources, warehouse_key)
        done = warehouse.rewrite([settings.table(table_named(name)) for name in tables])
        for table, words in done.items():
            context.log.info(f"{table}: {', '.join(words)}.")
        if not done:
            context.log.info("No table holds values of blocked or hashed columns.")
        if not isinstance(warehouse, DuckDBWarehouse):
            context.log.info(LEFT_ON_A_SERVER.format(schema=warehouse.schema_name))
        elif config.new_file:
            context.log.info(warehouse.copy_to_new_file())

    @dg.job(
        executor_def=executor,
        name=f"{settings.name}_rewrite",
        description="Removes the values of blocked columns and hashes those of hashed columns that were written before "
        "they were blocked or hashed.",
    )
    def rewrite() -> None:
        rewrite_values()

    return rewrite
