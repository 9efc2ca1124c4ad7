"""Rows that a load reads: where they lie, and how they become values of the table's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER
from klaviyo_assets.warehouse.local.exactness import survives
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES, convert, json_object
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.spool import Spool, SpoolFile
from klaviyo_assets.warehouse.sql import column_list, literal, quote

ORDER = "_order"
"""Column with the place of a row among all that came: of two rows with one key, the later one counts."""


@dataclass(frozen=True)
class IncomingRows:
    """A relation with rows on their way into a table.

    relation, order: SQL. values: column of the table -> SQL of its values, in the table's type.
    """

    relation: str
    order: str
    values: Mapping[str, str]

    def select(self, names: Sequence[str]) -> str:
        """Return the query of some columns and of `ORDER`."""
        chosen = "".join(f"{self.values[name]} AS {quote(name)}, " for name in names)
        return f"SELECT {chosen}{self.order} AS {ORDER} FROM {self.relation}"


def relation_rows(source: Source, spec: TableSpec, types: Mapping[str, str]) -> IncomingRows:
    """Return the declared columns of another table. types: column -> type, of the table that they go to."""
    values = {
        name: convert(quote(name), source.types[name], kind)
        for name, kind in types.items()
        if name in spec.types and name in source.types
    }
    return IncomingRows(source.relation, "rowid", values)


def spool_rows(
    spool: Spool,
    types: Mapping[str, str],
    overflow_column: str | None = None,
    overflow: Mapping[str, Set[Type]] | None = None,
) -> list[IncomingRows]:
    """Return a spool's rows, as few parts as its types allow; columns that the table does not have are left out.

    types: column -> type, of the table that they go to.
    overflow: columns of which the values of some types go to the `overflow_column`.

    Files are read together if no column has two types in them; a column that one of them lacks is NULL there.
    """
    parts: list[tuple[list[tuple[int, SpoolFile]], dict[str, Type]]] = []
    for number, file in enumerate(spool.files):
        fitting = (part for part in parts if all(part[1].get(name, kind) is kind for name, kind in file.types.items()))
        files, known = next(fitting, (None, None)) or (None, None)
        if files is None or known is None:
            files, known = [], {}
            parts.append((files, known))
        files.append((number, file))
        known |= file.types
    rows = []
    for files, known in parts:
        beyond = {name: kind for name, kind in known.items() if kind in (overflow or {}).get(name, ())}
        values = {
            name: convert(quote(name), TYPE_NAMES[kind], types[name])
            for name, kind in known.items()
            if name in types and name not in beyond
        }
        if beyond and overflow_column:
            values[overflow_column] = json_object(beyond)
        rows.append(_files_rows(files, values))
    return rows


def _files_rows(files: Sequence[tuple[int, SpoolFile]], values: Mapping[str, str]) -> IncomingRows:
    # Files are named after their number, so that parts of a spool can be put in one order.
    order = "(CAST(parse_filename(filename, true) AS BIGINT) << 32) + file_row_number"
    numbered = "filename = true, file_row_number = true"
    return IncomingRows(_parquets([file for _, file in files], numbered), order, values)


def takes(query: Callable[[str], Sequence[object]], spool: Spool, name: str, kind: Type, target: str) -> bool:
    """Return whether one of DuckDB's types holds exactly all values of a spool's column that have a type of ours.

    query: runs a statement in a DuckDB and returns its rows.
    """
    condition = survives(quote(name), TYPE_NAMES[kind], target)
    return condition == ALWAYS if condition in (ALWAYS, NEVER) else all_are(query, spool, name, kind, condition)


def all_are(query: Callable[[str], Sequence[object]], spool: Spool, name: str, kind: Type, condition: str) -> bool:
    """Return whether a condition is true, or NULL, of all rows of the files in which a column has a type of ours."""
    files = [file for file in spool.files if file.types.get(name) is kind]
    return not query(f"SELECT 1 FROM {_parquets(files)} WHERE NOT ({condition}) LIMIT 1")


def spooled(spool: Spool, types: Mapping[str, Type]) -> str:
    """Return the relation of columns of all of a spool's rows."""
    if spool.files:
        return f"(SELECT {column_list(types)} FROM {_parquets(spool.files)})"
    empty = ", ".join(f"CAST(NULL AS {TYPE_NAMES[kind]}) AS {quote(name)}" for name, kind in types.items())
    return f"(SELECT {empty} WHERE false)"


def _parquets(files: Sequence[SpoolFile], *options: str) -> str:
    paths = ", ".join(literal(str(file.path)) for file in files)
    relation = f"read_parquet({', '.join([f'[{paths}]', 'union_by_name = true', *options])})"
    stored = {name: there for file in files for name, there in file.stored.items()}
    if not stored:
        return relation
    renamed = ", ".join(f"{quote(there)} AS {quote(name)}" for name, there in stored.items())
    return f"(SELECT * RENAME ({renamed}) FROM {relation})"
