"""A spool's rows on their way to a server, which the local engine makes typed and one per key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.dialect import Dialect
from klaviyo_assets.warehouse.local import rows
from klaviyo_assets.warehouse.local.engine import asking
from klaviyo_assets.warehouse.local.keys import stage_keys
from klaviyo_assets.warehouse.local.rows import ORDER, IncomingRows, spool_rows
from klaviyo_assets.warehouse.local.sql import TEXT
from klaviyo_assets.warehouse.session import STAGE
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote


def takes(spool: Spool, name: str, kind: Type, native: str | None, longest: int | None = None) -> bool:
    """Return whether a type holds exactly all values of a spool's column that have a type of ours.

    native: DuckDB's name of it; None: it has no such type. longest: characters of its texts; None: any number. With a
    limit it takes texts only.
    """
    if native is None or not rows.takes(asking(spool), spool, name, kind, native):
        return False
    if longest is None:
        return True
    condition = f"length({quote(name)}) <= {longest}" if kind in (Type.TEXT, Type.JSON) else "false"
    return rows.all_are(asking(spool), spool, name, kind, condition)


@dataclass(frozen=True)
class Incoming:
    """Rows on their way into `STAGE`.

    spec: of the table that they go to. natives: column of the table -> DuckDB's type. parts: the rows.
    came: columns that came. names: those of `STAGE`, which has the key and the version also if these did not come.
    """

    spec: TableSpec
    natives: Mapping[str, str]
    parts: Sequence[IncomingRows]
    came: Set[str]
    names: Sequence[str]

    def one_per_key(self, query: Callable[[str], list[tuple[Any, ...]]]) -> tuple[int, str]:
        """Find one row per key; return the number of all, and the end of a query of those that were found."""
        key = _found_by(self.spec)
        total, all_count = stage_keys(
            query, self.spec, self.parts, self.natives, [name for name in self.names if name in key]
        )
        return total, "" if all_count else f" WHERE {ORDER} IN (SELECT {ORDER} FROM {STAGE})"

    def columns(self) -> Iterator[tuple[IncomingRows, list[str]]]:
        """Yield each part with the columns that it has."""
        for part in self.parts:
            yield part, [name for name in self.names if name in part.values]


def incoming(
    dialect: Dialect,
    spec: TableSpec,
    spool: Spool,
    types: Mapping[str, str],
    beyond: Mapping[str, Set[Type]] | None,
) -> Incoming:
    """Return the rows of a spool, all columns that came. types, beyond: see `Session.stage`."""
    natives = {name: dialect.local_type(native) or TEXT for name, native in types.items()}
    parts = spool_rows(spool, natives, spec.overflow, beyond)
    came = {name for part in parts for name in part.values}
    names = [name for name in types if name in {*came, *_found_by(spec)} and name not in (SYNCED.name, DELETED.name)]
    return Incoming(spec, natives, parts, came, names)


def _found_by(spec: TableSpec) -> list[str]:
    return [*spec.primary_key, *([spec.version] if spec.version else [])]
