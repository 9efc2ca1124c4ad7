"""Rows on their way out, as Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog


def arrow(session: BigQueryCatalog, query: str, parameters: Sequence[Any]) -> pa.Table:
    """Run a query and return its rows: times in UTC without a zone, JSON as text.

    Many rows come faster by way of the package google-cloud-bigquery-storage, if it is installed.
    """
    rows = session.execute(query, parameters)
    fast = find_spec("google.cloud.bigquery_storage") is not None
    table = rows.to_arrow(create_bqstorage_client=fast)
    columns = [_column(values, field.type) for values, field in zip(table.columns, table.schema, strict=True)]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _column(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(kind, pa.BaseExtensionType):
        values, kind = pa.chunked_array([part.storage for part in values.chunks], kind.storage_type), kind.storage_type
    if pa.types.is_timestamp(kind):
        return pc.cast(values, pa.timestamp("us"))
    return values
