"""Rows on their way into a temporary table of the server: typed, one per key, in Postgres' binary format.

The local engine reads what is spooled. The server casts only what goes into columns of types that this project does
not make: they come as text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import pgpq
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.local import rows as local
from klaviyo_assets.warehouse.local.engine import asking, batches, engine, query
from klaviyo_assets.warehouse.local.keys import keep_one_per_key, stage_keys
from klaviyo_assets.warehouse.local.rows import ORDER, IncomingRows, spool_rows
from klaviyo_assets.warehouse.local.sql import TEXT
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES as LOCAL_NAMES
from klaviyo_assets.warehouse.postgres.catalog import INSTEAD_OF_NUL, PostgresCatalog
from klaviyo_assets.warehouse.postgres.dialect import PostgresDialect
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, literal, quote

_CELLS = 1_000_000
"""Values of a batch."""

_LONGEST_ROW, _HEADER = 8160, 32 + 1600 // 8
"""Bytes of a row, and of its header with a bit for each column that a table may ever have had: dropped ones count."""

_LONGEST_TEXT, _LONGEST_FIXED = 24, 16
"""Bytes of a value within a row: longer texts are kept elsewhere, and a number may need as many to be aligned."""

_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_NOT_IN_JSONB = r"\\u0000|\\u[dD][89a-fA-F]|[eE][+-]?[0-9]{4}"

_LONGEST_OF_OTHERS = len("2026-05-01T12:00:00.000000+00:00")
"""Characters of the longest text that a value becomes that is none: of a time."""


def takes(dialect: PostgresDialect, spool: Spool, name: str, kind: Type, target: str) -> bool:
    """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
    native = dialect.local_type(target)
    if native is None or not local.takes(asking(spool), spool, name, kind, native):
        return False
    column, condition = quote(name), None
    if (longest := dialect.longest_text(target)) is not None:
        if kind in (Type.TEXT, Type.JSON):
            condition = f"length({column}) <= {longest}"
        elif longest < _LONGEST_OF_OTHERS:
            return False
    elif target == "jsonb":
        without_pairs = f"regexp_replace({column}, {literal(_PAIR)}, '', 'g')"
        condition = f"NOT regexp_matches({without_pairs}, {literal(_NOT_IN_JSONB)})"
    return condition is None or local.all_are(asking(spool), spool, name, kind, condition)


def copy_spooled(session: PostgresCatalog, table: str, spool: Spool, types: Mapping[str, Type]) -> None:
    """Make a temporary table of columns of all of a spool's rows."""
    natives = {name: session.dialect.type_names[kind] for name, kind in types.items()}
    _create(session, table, natives)
    if not spool.files:
        return
    chosen = ", ".join(_sent(quote(name), LOCAL_NAMES[kind], name) for name, kind in types.items())
    with engine(spool) as connection:
        reader = batches(connection.sql(f"SELECT {chosen} FROM {local.spooled(spool, types)}"), _batch(types))
        _copy(session, table, list(types), reader)
    session.execute(f"ANALYZE {table}")


def stage_spool(
    session: PostgresCatalog,
    spec: TableSpec,
    spool: Spool,
    types: Mapping[str, str],
    beyond: Mapping[str, Set[Type]] | None,
) -> Staged:
    """Make `STAGE` of the rows of a spool, all columns that came, one row per key."""
    natives = {name: session.dialect.local_type(native) or TEXT for name, native in types.items()}
    parts = [_keys_without_nul(spec, natives, part) for part in spool_rows(spool, natives, spec.overflow, beyond)]
    came = {name for part in parts for name in part.values}
    key = [*spec.primary_key, *([spec.version] if spec.version else [])]
    shortened = _shortener(session.dialect, spec, types, came)
    sent = {*came, *key, *([spec.overflow] if shortened and spec.overflow else [])}
    names = [name for name in types if name in sent and name not in (SYNCED.name, DELETED.name)]
    foreign = [name for name in names if not session.dialect.is_ours(types[name])]
    _create(session, STAGE, {name: types[name] if name not in foreign else session.dialect.text for name in names})
    with engine(spool) as connection:
        total, all_count = stage_keys(query(connection), spec, parts, natives, [name for name in names if name in key])
        where = "" if all_count else f" WHERE {ORDER} IN (SELECT {ORDER} FROM {STAGE})"
        for part in parts:
            there = [name for name in names if name in part.values]
            chosen = ", ".join(_sent(quote(name), natives[name], name, as_text=name in foreign) for name in there)
            statement = f"SELECT {chosen} FROM ({part.select(there)}) AS came{where}"
            reader = batches(connection.sql(statement), _batch(there))
            if shortened:
                reader, there = shortened.batches(reader), shortened.names(there)
            _copy(session, STAGE, there, reader)
    if foreign:
        cast = ", ".join(
            f"ALTER COLUMN {quote(n)} TYPE {types[n]} USING CAST({quote(n)} AS {types[n]})" for n in foreign
        )
        session.execute(f"ALTER TABLE {STAGE} {cast}")
    session.execute(f"ANALYZE {STAGE} ({column_list(spec.primary_key)})")
    overflow = {spec.overflow} if shortened and spec.overflow else set()
    return Staged(total, came | overflow, shortened.rows if shortened else 0)


def stage_relation(session: PostgresCatalog, spec: TableSpec, source: Source, types: Mapping[str, str]) -> Staged:
    """Make `STAGE` of the declared columns of another table, one row per key."""
    came = {name for name in types if name in spec.types and name in source.types}
    names = [name for name in types if name in {*came, *spec.primary_key, *([spec.version] if spec.version else [])}]
    there = [name for name in names if name in came]
    values = ", ".join(session.dialect.convert(quote(name), source.types[name], types[name]) for name in there)
    _create(session, STAGE, {name: types[name] for name in names})
    session.change(f"INSERT INTO {STAGE} ({column_list(there)}) SELECT {values} FROM {source.relation}")
    total, _ = keep_one_per_key(session.sql, spec, names, "ctid")
    session.execute(f"ANALYZE {STAGE} ({column_list(spec.primary_key)})")
    return Staged(total, came)


def _create(session: PostgresCatalog, table: str, types: Mapping[str, str]) -> None:
    ddl = ", ".join(f"{quote(name)} {native}" for name, native in types.items())
    session.execute(f"CREATE TEMP TABLE {table} ({ddl}) ON COMMIT DROP")


def _keys_without_nul(spec: TableSpec, natives: Mapping[str, str], part: IncomingRows) -> IncomingRows:
    """Replace NUL in keys before they are compared; in other texts `_copy` does."""
    keys = {
        name: f"replace({part.values[name]}, chr(0), {literal(INSTEAD_OF_NUL)})"
        for name in spec.primary_key
        if name in part.values and natives[name] == TEXT
    }
    return IncomingRows(part.relation, part.order, {**part.values, **keys})


def _sent(expression: str, native: str, name: str, *, as_text: bool = False) -> str:
    sent = f"CAST({expression} AS {TEXT})" if as_text or native == LOCAL_NAMES[Type.JSON] else expression
    return f"{sent} AS {quote(name)}"


def _batch(names: Sequence[str] | Mapping[str, object]) -> int:
    return max(500, min(50_000, _CELLS // max(1, len(names))))


def _copy(session: PostgresCatalog, table: str, names: Sequence[str], batches: Iterator[pa.RecordBatch]) -> None:
    statement = f"COPY {table} ({column_list(names)}) FROM STDIN (FORMAT binary)"
    encoder = None
    with session.copy(statement) as copy:
        for batch in batches:
            cleaned = pa.RecordBatch.from_arrays([_without_nul(column) for column in batch.columns], names=list(names))
            if encoder is None:
                encoder = pgpq.ArrowToPostgresBinaryEncoder(cleaned.schema)
                copy.write(encoder.write_header())
            copy.write(encoder.write_batch(cleaned))
        if encoder is None:
            encoder = pgpq.ArrowToPostgresBinaryEncoder(pa.schema([pa.field(name, pa.string()) for name in names]))
            copy.write(encoder.write_header())
        copy.write(encoder.finish())


def _without_nul(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return column
    ends = pa.Array.from_buffers(pa.int32(), column.offset + len(column) + 1, [None, offsets])
    first, last = ends[column.offset].as_py(), ends[column.offset + len(column)].as_py()
    if b"\0" not in data.slice(first, last - first).to_pybytes():
        return column
    return pc.replace_substring(column, pattern="\0", replacement=INSTEAD_OF_NUL)


# Rows that are too long


class _Shortener:
    """Moves values of rows that are too long into the overflow column.

    movable: columns whose values may go there. nested: those of JSON among them. room: bytes that a row may have.
    rows: how many it has shortened.
    """

    def __init__(self, overflow: str, movable: Set[str], nested: Set[str], room: int) -> None:
        self.rows = 0
        self._overflow = overflow
        self._movable = movable
        self._nested = nested
        self._room = room

    def names(self, names: Sequence[str]) -> list[str]:
        """Return the columns of the batches that come out, in order."""
        return [*(name for name in names if name != self._overflow), self._overflow]

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give batches in which no row is longer than Postgres takes."""
        for batch in batches:
            yield self._shorten(batch)

    def _shorten(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        overflow = columns.pop(self._overflow, pa.nulls(batch.num_rows, pa.string()))
        lengths = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows)
        for column in columns.values():
            lengths = pc.add(lengths, pc.multiply(pc.cast(column.is_valid(), pa.int32()), _longest(column.type)))
        if too_long := pc.indices_nonzero(pc.greater(lengths, self._room)).to_pylist():
            self.rows += len(too_long)
            overflow = self._move(columns, overflow.to_pylist(), {row: lengths[row].as_py() for row in too_long})
        return pa.RecordBatch.from_pydict({**columns, self._overflow: overflow})

    def _move(self, columns: dict[str, pa.Array], texts: list[str | None], lengths: Mapping[int, int]) -> pa.Array:
        """Empty the last columns of some rows; return the overflow column. lengths: row -> its bytes."""
        values = {name: columns[name].to_pylist() for name in columns if name in self._movable}
        moved: dict[str, set[int]] = {}
        for row, length in lengths.items():
            members = []
            for name in reversed(values):
                if length <= self._room:
                    break
                if (value := values[name][row]) is not None:
                    members.append(f"{json.dumps(name)}:{value if name in self._nested else _json_of(value)}")
                    moved.setdefault(name, set()).add(row)
                    length -= _longest(columns[name].type)
            before = (texts[row] or "{}")[1:-1]
            texts[row] = "{" + ",".join([*([before] if before else []), *members]) + "}"
        for name, gone in moved.items():
            kept = [None if row in gone else value for row, value in enumerate(values[name])]
            columns[name] = pa.array(kept, columns[name].type)
        return pa.array(texts, pa.string())


def _shortener(
    dialect: PostgresDialect, spec: TableSpec, types: Mapping[str, str], came: Set[str]
) -> _Shortener | None:
    sure = dialect.capabilities.sure_to_fit
    if not spec.overflow or spec.overflow not in types or sure is None or len(types) <= sure:
        return None
    others = [name for name in types if name not in came and not name.startswith(str(spec.dynamic))]
    room = _LONGEST_ROW - _HEADER - (len(others) + 1) * _LONGEST_TEXT
    movable = came - spec.types.keys() - {spec.overflow}
    nested = {name for name in movable if dialect.type_of(types[name]) is Type.JSON}
    return _Shortener(spec.overflow, movable, nested, max(room, _LONGEST_TEXT))


def _longest(kind: pa.DataType) -> int:
    return _LONGEST_TEXT if pa.types.is_string(kind) else _LONGEST_FIXED


def _json_of(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return json.dumps(value.isoformat() + "+00:00")
    if isinstance(value, dt.date):
        return json.dumps(value.isoformat())
    return json.dumps(value, ensure_ascii=False)
