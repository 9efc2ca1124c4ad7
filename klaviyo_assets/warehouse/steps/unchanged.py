"""Snapshots that are as they were, and tables that are as their snapshot was published: nothing is written again.

Both are compared with what is there now, not only with what came before: what somebody has changed by hand is written
anew. A database that has no cheap way to look at the content of a table (`Dialect.content`) writes everything again.
"""

from __future__ import annotations

import hashlib

from klaviyo_assets.schema.spec import SYNCED, SYSTEM_COLUMNS, TableSpec
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import CONTENT, SNAPSHOT_CONTENT, WAITING, SyncState
from klaviyo_assets.warehouse.steps.live_rows import NOT_DELETED, count_live
from klaviyo_assets.warehouse.steps.loads import record
from klaviyo_assets.warehouse.steps.states import forget, read_state, write_state
from klaviyo_assets.warehouse.transaction import Transaction


def is_same_snapshot(transaction: Transaction, staging: Transaction, spec: TableSpec, spool: Spool) -> bool:
    """Return whether the snapshot that is there holds the rows of a spool, and nobody has changed it since."""
    known = read_state(transaction, spec.name, SNAPSHOT_CONTENT)
    return known is not None and known.fingerprint == _digest(_of_spool(spec, spool), _content(staging, spec))


def remember_snapshot(transaction: Transaction, staging: Transaction, spec: TableSpec, spool: Spool) -> None:
    """Remember what the snapshot holds, which was just made of a spool."""
    _remember(transaction, spec, SNAPSHOT_CONTENT, _digest(_of_spool(spec, spool), _content(staging, spec)))


def is_published(transaction: Transaction, spec: TableSpec) -> bool:
    """Return whether the snapshot was published as it is, and nobody has changed the table since.

    While rows wait to be flagged as deleted, they are looked at each time.
    """
    known, snapshot = (read_state(transaction, spec.name, scope) for scope in (CONTENT, SNAPSHOT_CONTENT))
    if known is None or snapshot is None or not read_state(transaction, spec.name):
        return False
    if read_state(transaction, spec.name, WAITING):
        return False
    return known.fingerprint == _digest(snapshot.fingerprint, _content(transaction, spec))


def remember_publication(transaction: Transaction, spec: TableSpec, result: LoadResult, *, complete: bool) -> None:
    """Remember what the table holds, to which its snapshot was just published.

    complete: whether all was inferred from it. Only then, and if exactly its rows are live, is there nothing to do the
    next time.
    """
    snapshot = read_state(transaction, spec.name, SNAPSHOT_CONTENT)
    done = complete and not result.waiting and not result.older
    digest = None
    if done and snapshot and count_live(transaction, spec.name) == result.rows:
        digest = _digest(snapshot.fingerprint, _content(transaction, spec))
    _remember(transaction, spec, CONTENT, digest)


def restamp(transaction: Transaction, spec: TableSpec, began: int) -> LoadResult:
    """Say of the live rows of a table that a read has found them as they are. began: number of the read."""
    record(transaction, spec.name, began)
    rows = transaction.update(spec.name, {SYNCED.name: "?"}, NOT_DELETED, [transaction.stamp])
    return LoadResult(rows, 0, rows, row_count=transaction.count(spec.name))


def _remember(transaction: Transaction, spec: TableSpec, scope: str, digest: str | None) -> None:
    if digest:
        write_state(transaction, SyncState(spec.name, scope, complete=True, fingerprint=digest))
    else:
        forget(transaction, [spec.name], scope)


def _of_spool(spec: TableSpec, spool: Spool) -> str:
    """Return a digest of what is to be written, and of the table that it is for."""
    policy = spec.policy.fingerprint if spec.policy else ""
    found = hashlib.sha256(repr((spec.types, spec.primary_key, spec.version, spec.dynamic, policy)).encode())
    for file in spool.files:
        found.update(repr((file.types, dict(file.stored))).encode())
        found.update(file.path.read_bytes())
    return found.hexdigest()


def _content(transaction: Transaction, spec: TableSpec) -> str | None:
    """Return a text that is another one if a column, or any value but the stamps, is; None: that takes long."""
    types = transaction.column_types(spec.name)
    if not {column.name for column in SYSTEM_COLUMNS} <= types.keys():
        return None
    chosen = [quote(name) for name in types if name != SYNCED.name]
    query = transaction.dialect.content(transaction.table(spec.name), chosen)
    return None if query is None else f"{types} {transaction.value(query)}"


def _digest(*parts: str | None) -> str | None:
    if None in parts:
        return None
    return hashlib.sha256("\0".join(part for part in parts if part).encode()).hexdigest()
