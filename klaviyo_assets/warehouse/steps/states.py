"""How far the tables are synced: the rows of `_sync_state`.

They are read once in a transaction, and what changes in them is written once, at its end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.sql import column_list
from klaviyo_assets.warehouse.state import (
    FINGERPRINTED,
    INSPECTED,
    INSPECTED_WHOLLY,
    SNAPSHOT,
    SNAPSHOT_CONTENT,
    SyncState,
    joined,
)
from klaviyo_assets.warehouse.transaction import Transaction, aware, naive

STATE_TABLE = "_sync_state"
_STATES_AT_ONCE = 200
_COLUMNS = {
    "table": Type.TEXT,
    "scope": Type.TEXT,
    "synced_from": Type.TIMESTAMP,
    "synced_through": Type.TIMESTAMP,
    "complete": Type.BOOLEAN,
    "rows": Type.BIGINT,
    "run_id": Type.TEXT,
    "synced_at": Type.TIMESTAMP,
    "read_number": Type.BIGINT,
}


def ensure_states(transaction: Transaction) -> None:
    """Create `_sync_state` if it is not there."""
    transaction.create_schema()
    there = transaction.column_types(STATE_TABLE)
    if not there:
        transaction.create(STATE_TABLE, _COLUMNS, key=["table", "scope"])
    elif "read_number" not in there:
        number = transaction.dialect.type_names[_COLUMNS["read_number"]]
        transaction.add_columns(STATE_TABLE, {"read_number": number})


def write_state(transaction: Transaction, state: SyncState) -> None:
    """Store a state, added to what was known before; the state of an earlier read replaces none of a later one."""
    if state.is_range and state.synced_through:
        before = [known for known in _known(transaction).values() if known.table == state.table and known.is_range]
        after = joined(before, state)
        for gone in {known.scope for known in before} - {known.scope for known in after}:
            forget(transaction, [state.table], gone)
        for changed in after:
            if changed not in before:
                _store(transaction, changed)
    elif known := state.after(read_state(transaction, state.table, state.scope)):
        _store(transaction, known)


def _store(transaction: Transaction, state: SyncState) -> None:
    _remember(transaction, replace(state, stored_at=aware(transaction.stamp), extends=False))


def _remember(transaction: Transaction, state: SyncState) -> None:
    _known(transaction)[state.table, state.scope] = state
    transaction.changed_states.add((state.table, state.scope))


def flush_states(transaction: Transaction) -> None:
    """Write the states that have changed: as the last of all, so that none is ever ahead of its rows.

    Where changes are there at once, what is void is forgotten before rows come that would make it seem true again.
    """
    changed = sorted(transaction.changed_states)
    stored = [state for key in changed if (state := _known(transaction).get(key))]
    gone = [key for key in changed if key not in _known(transaction)]
    for first in range(0, len(gone), _STATES_AT_ONCE):
        some = gone[first : first + _STATES_AT_ONCE]
        chosen = " OR ".join(['("table" = ? AND scope = ?)'] * len(some))
        transaction.delete(STATE_TABLE, chosen, [value for key in some for value in key])
    rows = [
        (
            state.table, state.scope, naive(state.synced_from), naive(state.synced_through), state.complete, state.rows,
            state.fingerprint or state.run_id, naive(state.stored_at), state.read_number,
        )
        for state in stored
    ]  # fmt: skip
    transaction.put(STATE_TABLE, ["table", "scope"], list(_COLUMNS), rows)
    transaction.changed_states.clear()


def read_state(transaction: Transaction, table: str, scope: str = "") -> SyncState | None:
    """Return what is known of a scope, with aware UTC times."""
    return _known(transaction).get((table, scope))


def read_states(transaction: Transaction) -> dict[tuple[str, str], SyncState]:
    """Return (table, scope) -> what is known of it, with aware UTC times."""
    return dict(_known(transaction))


def _known(transaction: Transaction) -> dict[tuple[str, str], SyncState]:
    if transaction.states is None:
        transaction.states = _read(transaction)
    return transaction.states


def _read(transaction: Transaction) -> dict[tuple[str, str], SyncState]:
    if not transaction.has_table(STATE_TABLE):
        return {}
    names = list(_COLUMNS)
    if "read_number" not in transaction.column_types(STATE_TABLE):  # written by an older version
        names.remove("read_number")
    found = {}
    for row in transaction.sql(f"SELECT {column_list(names)} FROM {transaction.table(STATE_TABLE)}"):
        state = dict(zip(names, row, strict=True))
        state["stored_at"] = state.pop("synced_at")
        for name in ("synced_from", "synced_through", "stored_at"):
            state[name] = aware(state[name])
        if state["scope"] in FINGERPRINTED:
            state["fingerprint"] = state.pop("run_id")
        found[state["table"], state["scope"]] = SyncState(**state)
    return found


def recount(transaction: Transaction, table: str, rows: int) -> None:
    """Let no state of a table know more rows than a load has left: a key that was there twice is there once then.

    The load itself has looked whether somebody else had removed some.
    """
    for state in [known for known in _known(transaction).values() if known.table == table and known.is_range]:
        if (state.rows or 0) > rows:
            _remember(transaction, replace(state, rows=rows))


def cut_state(transaction: Transaction, state: SyncState, through: dt.datetime) -> None:
    """Let a state that is stored end at another moment, aware."""
    _remember(transaction, replace(state, synced_through=through))


def forget(transaction: Transaction, tables: Sequence[str], scope: str | None = None) -> None:
    """Remove the states of tables, of one scope or of all; with that of a snapshot what it held."""
    scopes = (SNAPSHOT, SNAPSHOT_CONTENT) if scope == SNAPSHOT else (scope,)
    gone = [key for key in _known(transaction) if key[0] in tables and (scope is None or key[1] in scopes)]
    for key in gone:
        del _known(transaction)[key]
    transaction.changed_states.update(gone)


def why_void(
    transaction: Transaction, state: SyncState, counts: Mapping[str, int | None], declared: Iterable[str] = ()
) -> str | None:
    """Say why a state can't be true of its table: somebody made that anew, or removed rows; None: it can.

    counts: table -> rows, see `row_counts`; no load makes them fewer. None: some. declared: columns that rows should
    have.
    """
    if state.table not in counts:
        return "the table is gone"
    rows, expected = counts[state.table], state.rows or 0
    if rows is not None and rows < expected:
        return f"{expected - rows:,} of its {expected:,} rows were removed" if rows else "the table was emptied"
    names = set(declared) if rows != 0 else set()
    if names and (lacking := sorted(names - transaction.column_types(state.table).keys())):
        return f"its rows have no {' and no '.join(lacking)}"
    return None


def void(transaction: Transaction, table: str) -> None:
    """Forget how far a table is synced, and its parts; not its snapshot, nor what an inspection saw."""
    kept = {SNAPSHOT, SNAPSHOT_CONTENT, *((INSPECTED, INSPECTED_WHOLLY) if transaction.column_types(table) else ())}
    for known, scope in read_states(transaction):
        if known == table and scope not in kept:
            forget(transaction, [table], scope)
