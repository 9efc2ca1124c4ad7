"""Making a table fit what comes: columns that are new, and columns that are too narrow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import partial, reduce

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.batches import widen
from klaviyo_assets.warehouse.dialect import Dialect
from klaviyo_assets.warehouse.errors import ColumnGenerated, WarehouseError
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.transaction import Transaction

_NEVER_TEXT = {Type.BOOLEAN, Type.DATE, Type.TIMESTAMP}
"""Declared types with whose values rows are chosen."""

_KEPT_FREE = 50
"""Columns of a full table that are kept for those that later versions declare, and for the overflow column."""


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
        keys = transaction.dialect.json_keys(transaction.table(spec.name), quote(spec.overflow))
        new -= {key for (key,) in transaction.sql(keys)}
    return tuple(sorted(new))


def fit(
    transaction: Transaction,
    spec: TableSpec,
    spool: Spool,
    left_out: Collection[str] = (),
    most: int | None = None,
    fixed: Collection[str] = (),
    comments: Mapping[str, str] | None = None,
) -> Fit:
    """Add the spool's new columns to the table and widen those that are too narrow.

    left_out: columns that the table does not take.
    most: appearing columns that the table may have. Those beyond are not added but go to the table's overflow column.
        A column that the table has stays one.
    fixed: appearing columns that can't be widened, or written: what they don't hold goes to the overflow column.
    comments: on columns, should they be new.

    Raises ColumnFixed, after which the transaction is lost, if there are others of that kind.
    """
    existing = transaction.column_types(spec.name)
    if spec.dynamic and most is not None:
        most = _most(transaction, spec, existing, most)
    incoming: dict[str, set[Type]] = {}
    for file in spool.files:
        for name, kind in file.types.items():
            if name not in left_out:
                incoming.setdefault(name, set()).add(kind)
    fitted = Fit(overflow={name: incoming.pop(name) for name in _beyond(spec, existing, incoming, most)})
    targets = {}
    if spec.dynamic:
        for name in sorted(transaction.session.generated(transaction.schema, spec.name) & incoming.keys()):
            if name not in fixed:
                raise ColumnGenerated(spec.name, name)
            fitted.overflow[name] = incoming.pop(name)
    for name in incoming:
        came = {kind: partial(transaction.session.takes, spool, name, kind) for kind in incoming[name]}
        if name in fixed:
            kinds = {kind for kind, fits in came.items() if not fits(existing[name])}
            fitted.overflow |= {name: kinds} if kinds else {}
        else:
            targets[name] = _target(transaction, spec, name, existing.get(name), came)
    sure = transaction.dialect.capabilities.sure_to_fit
    may_be_too_long = sure is not None and len({*existing, *targets}) >= sure
    if (fitted.overflow or may_be_too_long) and spec.overflow and spec.overflow not in existing:
        transaction.add_columns(spec.name, {spec.overflow: transaction.dialect.type_names[Type.JSON]})
    _apply(transaction, spec, existing, targets, fitted)
    transaction.describe(spec.name, {name: text for name, text in (comments or {}).items() if name in fitted.added})
    return fitted


def _most(transaction: Transaction, spec: TableSpec, existing: Collection[str], most: int) -> int:
    """Return how many appearing columns the table may have, if the database limits its columns."""
    room = transaction.session.room(transaction.schema, spec.name)
    if room is None:
        return most
    return min(most, len(appearing(spec, existing)) + max(0, room - _KEPT_FREE))


def fit_relation(transaction: Transaction, spec: TableSpec, source: Source) -> None:
    """Widen the declared columns of a table that are too narrow for what another one holds."""
    existing = transaction.column_types(spec.name)
    targets = {}
    for name in (name for name in spec.types if name in source.types):
        came = {transaction.dialect.type_of(source.types[name]): partial(transaction.holds, source, name)}
        targets[name] = _target(transaction, spec, name, existing.get(name), came)
    _apply(transaction, spec, existing, targets, Fit())


def _apply(
    transaction: Transaction, spec: TableSpec, existing: Mapping[str, str], targets: Mapping[str, str], fitted: Fit
) -> None:
    transaction.widen(spec.name, {name: target for name, target in targets.items() if name in existing})
    new = {name: target for name, target in targets.items() if name not in existing}
    transaction.add_columns(spec.name, new)
    fitted.added += new
    fitted.widened += [name for name, target in targets.items() if name in existing and target != existing[name]]


def _beyond(spec: TableSpec, existing: Iterable[str], incoming: Iterable[str], most: int | None) -> list[str]:
    if most is None or not spec.dynamic:
        return []
    there = appearing(spec, existing)
    new = [name for name in incoming if name not in there and name not in spec.types]
    return new[max(0, most - len(there)) :]


def appearing(spec: TableSpec, existing: Iterable[str]) -> set[str]:
    """Return the columns of a table that appear by themselves, by their names; not the overflow column."""
    if spec.dynamic is None:
        return set()
    return {name for name in existing if name.startswith(spec.dynamic)} - {*spec.types, str(spec.overflow)}


def _target(
    transaction: Transaction,
    spec: TableSpec,
    name: str,
    existing: str | None,
    came: Mapping[Type, Callable[[str], bool]],
) -> str:
    """Return the first native type that holds exactly what came and what the column holds.

    came: type of values that came -> whether a native type holds them exactly.
    """
    kinds, holds = set(came), [*came.values()]
    if existing:
        held = Source(transaction.table(spec.name), {name: existing})
        kinds.add(transaction.dialect.type_of(existing))
        holds.append(partial(transaction.holds, held, name))
    for candidate in _candidates(transaction.dialect, spec.types.get(name), existing, kinds):
        if all(fits(candidate) for fits in holds):
            return candidate
    raise WarehouseError(
        f"{spec.name}.{name} is {existing}, which does not hold exactly what came, and what it holds is no "
        f"{spec.types[name].value}. Give it another type."
    )


def _candidates(dialect: Dialect, declared: Type | None, existing: str | None, kinds: Set[Type]) -> Iterator[str]:
    """A type that this project does not make stays if it can; ours only ever widen."""
    foreign = existing is not None and not dialect.is_ours(existing)
    if existing and foreign:
        yield existing
        if declared:
            yield dialect.type_names[declared]
    common = reduce(widen, sorted(kinds))
    never_text = foreign and declared in _NEVER_TEXT
    if common is not Type.TEXT or not never_text:
        yield dialect.type_names[common]
    if not never_text:
        yield dialect.text
