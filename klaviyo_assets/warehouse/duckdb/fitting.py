"""Making a table fit what comes: columns that are new, and columns that are too narrow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import reduce

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.batches import widen
from klaviyo_assets.warehouse.duckdb.rows import Source, sources
from klaviyo_assets.warehouse.duckdb.sql import TEXT, TYPE_NAMES, is_ours, quote, type_of
from klaviyo_assets.warehouse.duckdb.transaction import Transaction
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.spool import Spool

_NEVER_TEXT = {Type.BOOLEAN, Type.DATE, Type.TIMESTAMP}
"""Declared types with whose values rows are chosen."""


@dataclass
class Fit:
    """What a table was made to fit, and what it does not.

    added, widened: names of columns. overflow: column -> types whose values go to the overflow column.
    """

    added: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    overflow: dict[str, Set[Type]] = field(default_factory=dict)


def columns_left_out(transaction: Transaction, spec: TableSpec, spool: Spool) -> tuple[str, ...]:
    """Return the spool's columns that the table does not take: it takes all of the first rows.

    What its overflow column holds is no new column either.
    """
    if spec.takes_new_columns or not transaction.sql(f"SELECT 1 FROM {transaction.table(spec.name)} LIMIT 1"):
        return ()
    existing = transaction.column_types(spec.name)
    new = {name for file in spool.files for name in file.types} - existing.keys()
    if new and spec.overflow in existing:
        keys = f"SELECT DISTINCT unnest(json_keys({quote(spec.overflow)})) FROM {transaction.table(spec.name)}"
        new -= {key for (key,) in transaction.sql(keys)}
    return tuple(sorted(new))


def fit(
    transaction: Transaction,
    spec: TableSpec,
    spool: Spool,
    left_out: Collection[str] = (),
    most: int | None = None,
    fixed: Collection[str] = (),
) -> Fit:
    """Add the spool's new columns to the table and widen those that are too narrow.

    left_out: columns that the table does not take.
    most: appearing columns that the table may have. Those beyond are not added but go to the table's overflow column.
        A column that the table has stays one.
    fixed: appearing columns that can't be widened: what they don't hold goes to the overflow column.
    """
    existing = transaction.column_types(spec.name)
    incoming: dict[str, set[Type]] = {}
    for file in spool.files:
        for name, kind in file.types.items():
            if name not in left_out:
                incoming.setdefault(name, set()).add(kind)
    fitted = Fit(overflow={name: incoming.pop(name) for name in _beyond(spec, existing, incoming, most)})
    targets = {}
    for name in incoming:
        came = sources(spool, name)
        if name in fixed:
            kinds = {kind for kind in incoming[name] for source in came if source.types[name] == TYPE_NAMES[kind]
                     and not transaction.holds(source, name, existing[name])}  # fmt: skip
            fitted.overflow |= {name: kinds} if kinds else {}
        else:
            targets[name] = _target(transaction, spec, name, existing.get(name), came)
    if fitted.overflow and spec.overflow and spec.overflow not in existing:
        transaction.add_column(spec.name, spec.overflow, TYPE_NAMES[Type.JSON])
    _apply(transaction, spec, existing, targets, fitted)
    return fitted


def fit_relation(transaction: Transaction, spec: TableSpec, source: Source) -> None:
    """Widen the declared columns of a table that are too narrow for what another one holds."""
    existing = transaction.column_types(spec.name)
    names = [name for name in spec.types if name in source.types]
    targets = {name: _target(transaction, spec, name, existing.get(name), [source]) for name in names}
    _apply(transaction, spec, existing, targets, Fit())


def _apply(
    transaction: Transaction, spec: TableSpec, existing: Mapping[str, str], targets: Mapping[str, str], fitted: Fit
) -> None:
    transaction.widen(spec.name, {name: target for name, target in targets.items() if name in existing})
    for name, target in targets.items():
        if name not in existing:
            transaction.add_column(spec.name, name, target)
            fitted.added.append(name)
        elif target != existing[name]:
            fitted.widened.append(name)


def _beyond(spec: TableSpec, existing: Iterable[str], incoming: Iterable[str], most: int | None) -> list[str]:
    if most is None or not spec.dynamic:
        return []
    there = {name for name in existing if name.startswith(spec.dynamic)} - {*spec.types, spec.overflow}
    new = [name for name in incoming if name not in there and name not in spec.types]
    return new[max(0, most - len(there)) :]


def _target(transaction: Transaction, spec: TableSpec, name: str, existing: str | None, came: list[Source]) -> str:
    """Return the first type that holds exactly what came and what the column holds."""
    held = [Source(transaction.table(spec.name), {name: existing})] if existing else []
    values = [*came, *held]
    for candidate in _candidates(spec.types.get(name), existing, [source.types[name] for source in values]):
        if all(transaction.holds(source, name, candidate) for source in values):
            return candidate
    raise WarehouseError(
        f"{spec.name}.{name} is {existing}, which does not hold exactly what came, and what it holds is no "
        f"{spec.types[name].value}. Give it another type."
    )


def _candidates(declared: Type | None, existing: str | None, types: list[str]) -> Iterator[str]:
    """A type that this project does not make stays if it can; ours only ever widen."""
    foreign = existing is not None and not is_ours(existing)
    if existing and foreign:
        yield existing
        if declared:
            yield TYPE_NAMES[declared]
    common = reduce(widen, map(type_of, types))
    never_text = foreign and declared in _NEVER_TEXT
    if common is not Type.TEXT or not never_text:
        yield TYPE_NAMES[common]
    if not never_text:
        yield TEXT
