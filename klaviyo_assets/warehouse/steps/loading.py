"""Writing rows by primary key."""

from __future__ import annotations

from collections.abc import Mapping, Set

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.extract import Coverage
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.session import STAGE, Source
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal, quote, same_key
from klaviyo_assets.warehouse.steps.deletes import flag_vanished
from klaviyo_assets.warehouse.steps.flags import forget_returned
from klaviyo_assets.warehouse.steps.loads import record, restamping, written_by_later_read
from klaviyo_assets.warehouse.steps.origins import source_columns
from klaviyo_assets.warehouse.transaction import Transaction


def upsert(
    transaction: Transaction,
    spec: TableSpec,
    source: Spool | Source,
    *,
    began: int | None = None,
    coverage: Coverage | None = None,
    guard: float | None = None,
    overflow: Mapping[str, Set[Type]] | None = None,
    confirmed: Spool | None = None,
) -> LoadResult:
    """Write rows by primary key, flag what vanished from `coverage`; the table exists and fits.

    source: a spool, or a relation with columns of the table.
    began: number of the read that they come from; None: the table is new, or all that is in it is replaced.
    guard: share of the coverage's live rows that may be flagged at once; the flags of more wait. None: any.
    overflow: columns of the spool of which the values of some types go to the overflow column.
    confirmed: keys of which the source says that they are gone, if others must not be flagged.
    """
    session, types = transaction.session, transaction.column_types(spec.name)
    staged = session.stage(spec, source, types, beyond=overflow)
    rows = transaction.value(f"SELECT count(*) FROM {STAGE}")
    deleted, older, waiting = 0, 0, None
    if began is not None:
        if coverage:
            deleted, waiting = flag_vanished(transaction, spec, coverage, guard, STAGE, began, confirmed)
        forget_returned(transaction, spec, STAGE)
        older = _leave_newer(transaction, spec, types, began) if rows else 0
    elif not transaction.dialect.capabilities.transactional_ddl:
        transaction.clear(spec.name)
    written = updated = 0
    cleared = source_columns(transaction, spec, staged.names) - staged.names
    if began is not None and rows > older and not transaction.dialect.capabilities.transactions:
        record(transaction, spec.name, began)
    if rows:
        written, updated = session.write(
            transaction.schema, spec, staged, types, cleared=cleared, stamp=transaction.stamp
        )
    transaction.inserted(spec.name, written - updated)
    session.unstage()
    if began is not None and (written or deleted):
        record(transaction, spec.name, began)
    updated = min(updated, written)  # of a key that was there twice both have gone
    return LoadResult(
        rows=rows, inserted=written - updated, updated=updated, deleted=deleted, older=older,
        row_count=transaction.count(spec.name), waiting=waiting, rows_shortened=staged.shortened,
    )  # fmt: skip


def patch(transaction: Transaction, spec: TableSpec, spool: Spool) -> LoadResult:
    """Fill columns of rows that the table has, leaving alone the rows that have these values already."""
    staged = transaction.session.stage(spec, spool, transaction.column_types(spec.name), whole=False)
    filled = sorted(staged.names - set(spec.primary_key))
    updated = 0
    if filled:
        differs = " OR ".join(f"own.{quote(name)} IS DISTINCT FROM new.{quote(name)}" for name in filled)
        with restamping(transaction, spec.name) as stamp:
            updated = transaction.update(
                spec.name,
                {name: f"new.{quote(name)}" for name in filled} | {SYNCED.name: stamp.sql},
                f"{same_key('own', 'new', spec.primary_key)} "
                f"AND NOT coalesce(own.{quote(DELETED.name)}, false) AND ({differs})",
                source=f"{STAGE} AS new",
                before=stamp.remember,
            )
            stamp.rows = updated
    rows = transaction.value(f"SELECT count(*) FROM {STAGE}")
    transaction.session.unstage()
    return LoadResult(rows, 0, updated, row_count=transaction.count(spec.name))


def _leave_newer(transaction: Transaction, spec: TableSpec, types: Mapping[str, str], began: int) -> int:
    """Drop staged rows of which the table knows something newer: another run was faster.

    A row is newer by its version, or, if it has none, because it was read later. What a later read flagged stays so.
    A version that is later than when it was written is none: until then no other one would get past it.
    """
    later = written_by_later_read(transaction, spec.name, began)
    if later == "false" and not spec.version:
        return 0
    deleted = f"coalesce(old.{quote(DELETED.name)}, false)"
    newer = later
    if spec.version:
        old, new = (f"{row}.{quote(spec.version)}" for row in ("old", STAGE))
        now = f"TIMESTAMP {literal(str(transaction.stamp))}"

        def instant(expression: str, name: str) -> str:
            return transaction.dialect.read_as(expression, types[name], Type.TIMESTAMP)

        written = instant(f"old.{quote(SYNCED.name)}", SYNCED.name)
        ahead = f"{instant(old, spec.version)} > {written} OR {instant(new, spec.version)} > {now}"
        newer = f"CASE WHEN {deleted} OR {ahead} THEN {later} ELSE {old} > {new} END"
    there = transaction.session.where_staged(transaction.schema, spec, "old")
    return transaction.session.delete(
        STAGE,
        f"EXISTS (SELECT 1 FROM {transaction.table(spec.name)} AS old "
        f"WHERE {same_key('old', STAGE, spec.primary_key)} AND {there} AND {newer})",
    )
