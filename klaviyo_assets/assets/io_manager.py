"""The IO manager: takes what an asset returns to the warehouse, and reads it back for downstream assets."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from klaviyo_assets.assets.advice import advised, of_waiting
from klaviyo_assets.assets.days import MANY
from klaviyo_assets.schema.spec import STAGING, TableSpec
from klaviyo_assets.warehouse.extract import Extract, Publication, Sweep
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.warehouse import Warehouse

PARTITION_EXPR = "partition_expr"
"""Metadata key of the column whose UTC day is a row's partition; the name is that of Dagster's own IO managers."""


TABLE, SNAPSHOT_OF = "klaviyo_assets/table", "klaviyo_assets/snapshot_of"
"""Metadata keys of the name of the table that an asset is, or is the snapshot of: its key may be any."""

Window = tuple[dt.datetime, dt.datetime]


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Loads an `Extract`, publishes a `Publication`, and gives downstream assets the rows.

    A downstream asset gets what its parameter's annotation asks for: `pandas.DataFrame` (also without annotation),
    `pyarrow.Table`, `polars.DataFrame` or `polars.LazyFrame`. Of a partitioned table it gets the rows of its own
    partitions. `build_definitions` makes one for each account, called `klaviyo_io_manager` if the account is `klaviyo`.

    Example:
        >>> import pandas as pd
        >>> from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
        >>> warehouse = DuckDBWarehouse(database="warehouse.duckdb")
        >>> with warehouse.connect() as connection:
        ...     _ = connection.execute("CREATE SCHEMA klaviyo")
        ...     _ = connection.execute("CREATE TABLE klaviyo.list AS SELECT 'Newsletter' AS name")
        >>> @dg.asset(ins={"list": dg.AssetIn(["klaviyo", "list"], input_manager_key="klaviyo_io_manager")})
        ... def names_of_lists(list: pd.DataFrame) -> str:
        ...     return ", ".join(list["name"])
        >>> assets = [dg.AssetSpec(["klaviyo", "list"]), names_of_lists]
        >>> result = dg.materialize(assets, resources={"klaviyo_io_manager": WarehouseIOManager(warehouse=warehouse)})
        >>> result.output_for_node("names_of_lists")
        'Newsletter'
    """

    warehouse: dg.ResourceDependency[Warehouse]
    delete_guard: float = Field(
        default=0.5, description="Share of a table's live rows that one snapshot may flag as deleted."
    )

    def handle_output(self, context: dg.OutputContext, obj: Extract | Publication | Sweep) -> None:
        """Write to the warehouse in one transaction and describe it in the asset's metadata."""
        if obj is None:
            return
        clock = time.monotonic()
        extra: Mapping[str, Any] = {}
        with advised(obj.snapshot if isinstance(obj, Publication) else "its snapshot"):
            match obj:
                case Publication():
                    result = self.warehouse.publish(obj, guard=self.delete_guard, run_id=context.run_id)
                case Sweep():
                    result = self.warehouse.sweep(obj, guard=self.delete_guard)
                    extra = obj.metadata()
                case Extract(spool=Spool() as spool):
                    result = self._load(obj, spool, _days(context, obj.spec))
                    extra = obj.metadata()
                case _:
                    with temporary_spool() as spool:
                        spool.write_all(obj.batches)
                        result = self._load(obj, spool, _days(context, obj.spec))
                        extra = {"spool_bytes": spool.bytes, **obj.metadata()}
        seconds = round(time.monotonic() - clock, 3)
        _warn(context, result)
        context.add_output_metadata({**_metadata(result), **extra, "seconds": seconds})
        for partition, rows in _by_partition(context, obj.spec, result).items():
            counted = {"dagster/partition_row_count": rows}
            context.step_context.add_asset_metadata(counted, context.asset_key, partition)
        if result.waiting:
            context.log.warning(of_waiting(result.waiting, context.asset_key.path[-1], self.delete_guard))
        if result.overflow:
            context.log.warning(
                f"{obj.spec.name} has {self.warehouse.max_dynamic_columns:,} columns of properties, the most that "
                f"`max_dynamic_columns` allows: {obj.spec.overflow} holds the values of {', '.join(result.overflow)}."
            )
        if isinstance(obj, Extract) and obj.snapshot:
            return  # publishing it says the same again, and Dagster stores every line
        context.log.info(
            f"{context.asset_key.to_user_string()}: {result.rows:,} rows came, {result.inserted:,} new, "
            f"{result.updated:,} updated, {result.deleted:,} deleted, in {seconds:.1f} s."
        )

    def _load(self, extract: Extract, spool: Spool, days: Window | None) -> LoadResult:
        if extract.snapshot:
            result = self.warehouse.store_snapshot(extract, spool)
            extract.shrinkage = result.shrinkage
            return result
        if extract.patch:
            return self.warehouse.patch(extract, spool)
        return self.warehouse.load(extract, spool, guard=self.delete_guard if extract.guarded else None, days=days)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an upstream table, or the part of it that the downstream partitions need."""
        import pandas as pd  # half a second, which a run that reads nothing this way need not wait

        upstream = context.upstream_output
        described = (upstream.definition_metadata if upstream else None) or {}
        table, is_snapshot = _table(context.asset_key, described)
        windows = _windows(context) if context.has_asset_partitions else None
        with advised():
            rows = self.warehouse.read(
                table,
                snapshot=is_snapshot,
                column=described.get(PARTITION_EXPR),
                windows=windows,
            )
        wanted = context.dagster_type.typing_type
        if wanted is pa.Table:
            return rows
        if getattr(wanted, "__module__", "").partition(".")[0] == "polars":
            return _as_polars(rows, wanted)
        if wanted in (pd.DataFrame, Any, None) or context.dagster_type.kind.name == "ANY":
            return rows.to_pandas()
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} can be read as pandas.DataFrame, pyarrow.Table, polars.DataFrame or "
            f"polars.LazyFrame, not as {wanted}."
        )


def _as_polars(rows: pa.Table, wanted: Any) -> Any:
    try:
        import polars
    except ImportError as error:
        raise dg.DagsterInvariantViolationError(
            f"Polars can't be imported ({error}): pip install 'klaviyo-assets[polars]'."
        ) from error
    frame = polars.DataFrame(rows)
    return frame.lazy() if wanted is polars.LazyFrame else frame


def _table(key: dg.AssetKey, described: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the table of an upstream asset, and whether it is its snapshot.

    By its metadata, else by its key, as another code location may know no more of it.
    """
    for name in (TABLE, SNAPSHOT_OF):
        if name in described:
            return str(described[name]), name == SNAPSHOT_OF
    return key.path[-1], len(key.path) > 1 and key.path[-2].endswith(STAGING)


def _counted(context: dg.OutputContext, spec: TableSpec) -> list[str]:
    """Return the partitions that are to say how many rows they have: Dagster takes long to be told of thousands.

    None of them exists for Dagster if Klaviyo's clock is a day ahead of this machine's.
    """
    keys = sorted(context.asset_partition_keys) if spec.partitioned_by and context.has_asset_partitions else []
    return keys if len(keys) <= MANY else []


def _days(context: dg.OutputContext, spec: TableSpec) -> Window | None:
    """Return the range of time of the partitions that are loaded, if their rows are to be counted."""
    windows = _windows(context) if _counted(context, spec) else []
    return (windows[0][0], windows[-1][1]) if windows else None


def _by_partition(context: dg.OutputContext, spec: TableSpec, result: LoadResult) -> dict[str, int]:
    """Return partition key -> rows; the days before the first partition count as that one's."""
    rows = dict.fromkeys(_counted(context, spec), 0)
    for day, count in result.by_day.items():
        if (partition := max(min(rows), day.isoformat())) in rows:
            rows[partition] += count
    return rows


def _windows(context: dg.InputContext | dg.OutputContext) -> list[Window]:
    """Return the ranges of time of the partitions that are asked for, which may have gaps between them."""
    definition = context.asset_partitions_def
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        raise dg.DagsterInvariantViolationError(f"{context.asset_key.to_user_string()} is not partitioned by time.")
    keys = sorted(set(context.asset_partition_keys))
    first = definition.get_first_partition_window()
    windows: list[Window] = []
    for start, end in sorted(definition.time_window_for_partition_key(key)[:2] for key in keys):
        if first and start <= first.start:  # it stands for all the days before, too
            start = dt.datetime.min.replace(tzinfo=dt.UTC)
        if windows and windows[-1][1] == start:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def _warn(context: dg.OutputContext, result: LoadResult) -> None:
    table = context.asset_key.to_user_string()
    for reason in result.columns_fixed:
        context.log.warning(f"{reason} Until then its overflow column holds what it does not.")
    if result.columns_left_out:
        context.log.warning(f"{table}: columns that it does not take were left out: {_list(result.columns_left_out)}.")
    if result.rows_shortened:
        context.log.warning(
            f"{table}: {result.rows_shortened:,} rows are too long for the database with all of their columns. Some of "
            "their values are in the overflow column."
        )
    if result.columns_with_old_values:
        context.log.warning(
            f"{table}: values from before they were blocked or hashed are still in these columns: "
            f"{_list(result.columns_with_old_values)}. They stay until the rewrite job removes or hashes them."
        )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20:,} more" if len(names) > 20 else shown


def _metadata(result: LoadResult) -> dict[str, Any]:
    described: dict[str, Any] = {
        "dagster/row_count": result.row_count,
        "rows_read": result.rows,
        "rows_inserted": result.inserted,
        "rows_updated": result.updated,
        "rows_deleted": result.deleted,
        "columns_added": len(result.columns_added),
    }
    if result.columns_added:
        described["new_columns"] = dg.MetadataValue.json(sorted(result.columns_added))
    if result.columns_widened:
        described["widened_columns"] = dg.MetadataValue.json(sorted(result.columns_widened))
    if result.overflow:
        described["columns_in_overflow"] = dg.MetadataValue.json(sorted(result.overflow))
    if result.columns_left_out:
        described["columns_left_out"] = dg.MetadataValue.json(list(result.columns_left_out))
    if result.columns_with_old_values:
        described["columns_with_old_values"] = dg.MetadataValue.json(list(result.columns_with_old_values))
    if result.rows_shortened:
        described["rows_shortened"] = result.rows_shortened
    if result.older:
        described["rows_older_than_table"] = result.older
    if result.waiting:
        described["deletes_waiting"] = result.waiting.rows
    if result.corrected:
        described["rows_corrected"] = result.corrected
    return described
