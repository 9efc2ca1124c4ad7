"""Values that were written before their columns were blocked or hashed: finding, removing and hashing them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import PRIVACY, SyncState
from klaviyo_assets.warehouse.steps.pairs import computed
from klaviyo_assets.warehouse.steps.states import forget, read_state, write_state
from klaviyo_assets.warehouse.transaction import Transaction


def find_old_values(transaction: Transaction, spec: TableSpec) -> tuple[str, ...]:
    """Return the columns that hold values from before they were blocked or hashed.

    Looks through the table until there are none; then that is remembered for as long as the policy stays the same.
    """
    policy = spec.policy
    known = read_state(transaction, spec.name, PRIVACY)
    if known and policy and known.fingerprint == policy.fingerprint:
        return ()
    if known:
        forget(transaction, [spec.name], PRIVACY)
    if policy is None:
        return ()
    names = _all_names(transaction, spec)
    found = tuple(sorted(name for name in names if _is_old(transaction, spec, name, names[name])))
    if not found:
        write_state(transaction, SyncState(spec.name, PRIVACY, complete=True, fingerprint=policy.fingerprint))
    return found


@dataclass(frozen=True)
class Rewriting:
    """What is to be rewritten in a table: names of columns.

    blocked: those that are gone, or to be emptied if they are `kept`, since the database could not drop them.
    old: those with values to be replaced. hashed: of these, the ones that are hashed as a whole.
    """

    transaction: Transaction
    spec: TableSpec
    blocked: Sequence[str] = ()
    kept: Sequence[str] = ()
    old: Sequence[str] = ()
    hashed: Sequence[str] = ()


def change_columns(transaction: Transaction, spec: TableSpec) -> Rewriting:
    """Drop the blocked columns of a table, and make those text that are to be hashed; return what is left to do.

    Raises ViewInPlace: what the view shows is not rewritten.
    """
    policy = spec.policy
    if policy is None:
        return Rewriting(transaction, spec)
    transaction.has_table(spec.name)
    names = _all_names(transaction, spec)
    blocked = [name for name in names if any(map(policy.blocks, names[name]))]
    old = [name for name in names if name not in blocked and _is_old(transaction, spec, name, names[name])]
    hashed = [name for name in old if any(map(policy.hashes, names[name]))]
    kept = [name for name in blocked if not transaction.drop_column(spec.name, name)]
    transaction.widen(spec.name, dict.fromkeys(hashed, transaction.dialect.text))
    return Rewriting(transaction, spec, blocked, kept, old, hashed)


def rewrite(rewriting: Rewriting) -> list[str]:
    """Empty and hash what is left of a table; return what was done in all, in words.

    Columns are changed before, in all tables: DuckDB 1.4 refuses a transaction that does it after changes of rows.
    """
    transaction, spec, done = rewriting.transaction, rewriting.spec, list[str]()
    policy = spec.policy
    if policy is None:
        return []
    for name in rewriting.blocked:
        if name in rewriting.kept:
            transaction.update(spec.name, {name: "NULL"}, f"{quote(name)} IS NOT NULL")
        done.append(f"{name} {'emptied' if name in rewriting.kept else 'dropped'}")
    for name in rewriting.old:
        is_hashed = name in rewriting.hashed
        _replace(transaction, spec, name, policy.digest if is_hashed else partial(policy.apply_to_json, name))
        done.append(f"{name} {'hashed' if is_hashed else 'rewritten'}")
    return done


def _replace(transaction: Transaction, spec: TableSpec, name: str, compute: Callable[[str], str | None]) -> None:
    """Write what a function makes of the texts of a column in their place."""
    native = transaction.column_types(spec.name)[name]
    text = transaction.dialect.as_text(quote("own", name), native)
    with computed(transaction, _texts(transaction, spec, name), compute) as relation:
        transaction.update(
            spec.name,
            {name: transaction.dialect.from_text("new.becomes", native)},
            f"{transaction.dialect.md5(text)} = new.was",
            source=f"{relation} AS new",
        )


def _all_names(transaction: Transaction, spec: TableSpec) -> dict[str, set[str]]:
    """Return column -> what the policy may call it: its name, and the whole one if it was cut."""
    types = transaction.column_types(spec.name)
    whole = transaction.whole_names(spec.name) if types else {}
    return {name: {name, whole.get(name, name)} for name in types}


def _is_old(transaction: Transaction, spec: TableSpec, name: str, names: Collection[str]) -> bool:
    """Return whether a column holds values that the policy would not have written."""
    policy = spec.policy
    if policy is None:
        return False
    rows = f"SELECT 1 FROM {transaction.table(spec.name)} WHERE {quote(name)} IS NOT NULL"
    if any(map(policy.blocks, names)):
        return bool(transaction.sql(f"{rows} LIMIT 1"))
    if any(map(policy.hashes, names)):
        is_digest = transaction.dialect.matches(_text(transaction, spec, name), policy.digest_pattern)
        return bool(transaction.sql(f"{rows} AND NOT {is_digest} LIMIT 1"))
    if name in policy.json_columns:
        parts = transaction.session.parts(_texts(transaction, spec, name))
        return sum(policy.is_old_json(name, text) for rows in parts for (text,) in rows) > 0  # to the end: see `parts`
    return False


def _text(transaction: Transaction, spec: TableSpec, name: str) -> str:
    return transaction.dialect.as_text(quote(name), transaction.column_types(spec.name)[name])


def _texts(transaction: Transaction, spec: TableSpec, name: str) -> str:
    """Return the query of the distinct texts of a column."""
    text = _text(transaction, spec, name)
    return f"SELECT DISTINCT {text} AS text FROM {transaction.table(spec.name)} WHERE {quote(name)} IS NOT NULL"
