"""Which of the columns that appear have ever come from the source: those that have not are the user's own.

Their names tell nothing: a user may add a `property_segment` too, or another connector may have left one.
"""

from __future__ import annotations

from collections.abc import Iterable

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.transaction import Transaction

COLUMNS_TABLE = "_columns"
_COLUMNS = {"table": Type.TEXT, "column": Type.TEXT}


def ensure_origins(transaction: Transaction, spec: TableSpec) -> None:
    """Create `_columns` if it is not there, for a table with columns that appear."""
    if spec.dynamic:
        transaction.create(COLUMNS_TABLE, _COLUMNS, key=list(_COLUMNS))


def source_columns(transaction: Transaction, spec: TableSpec, came: Iterable[str]) -> set[str]:
    """Return the appearing columns of a table that have ever come from the source; remember those that came now.

    A row fills them by being there: they are NULL where it has no such property. The overflow column is one of them.
    """
    if not spec.dynamic:
        return set()
    table = transaction.table(COLUMNS_TABLE)
    known = {name for (name,) in transaction.sql(f'SELECT "column" FROM {table} WHERE "table" = ?', [spec.name])}
    appearing = {name for name in came if name not in spec.types}
    if new := sorted(appearing - known):
        transaction.insert(COLUMNS_TABLE, list(_COLUMNS), [(spec.name, name) for name in new])
    return known | appearing | ({spec.overflow} if spec.overflow else set())
