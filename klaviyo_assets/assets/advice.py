"""What to do about what Klaviyo's API and the warehouse say, which themselves know no settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from klaviyo_assets.api import ForeignAnswer, InvalidApiKey, KlaviyoError, NotFound
from klaviyo_assets.warehouse.errors import ForeignTable, SnapshotMissing, SpoolFull, WarehouseError, WarehouseUnusable
from klaviyo_assets.warehouse.guard import FEW_WAIT, SETTLED_AFTER, Waiting
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.workers.process import WorkerDied, WorkerNotStarted

_HOURS = round(SETTLED_AFTER / dt.timedelta(hours=1))


@contextmanager
def advised(snapshot: str = "its snapshot") -> Iterator[None]:
    """Give errors of the warehouse the advice that they need. snapshot: key of the asset that makes the snapshot."""
    try:
        yield
    except WarehouseError as error:
        error.advice = error.advice or _advice(error, snapshot)
        raise


_OF_SERVERS = {
    "bigquery": ", the credentials, and the roles of their owner: docs/bigquery.md lists them.",
    "snowflake": ", and the grants of its role: docs/snowflake.md lists them.",
    "clickhouse": ", and the grants of its user: docs/clickhouse.md lists them.",
    "postgres": "; `klaviyo-assets check` names the rights that are missing.",
}
"""Kind of a server's database -> what else to check if it can't be used."""


def _advice(error: WarehouseError, snapshot: str) -> str:
    if isinstance(error, SnapshotMissing):
        return f"Materialize {snapshot}."
    if isinstance(error, ForeignTable):
        return "Rename its schema, or choose another `schema` in the settings."
    if isinstance(error, SpoolFull):
        less = "lower" if error.free is not None else "raise"
        return (
            f"Free some there, set TMPDIR to another folder of this machine, or {less} the setting `spool_limit`; of a "
            "long history `history_chunk_days` has fewer days read at a time."
        )
    if isinstance(error, WorkerDied):
        return (
            "If this machine was out of memory, or its container had no more, lower the setting `processes`. Run it "
            "again."
        )
    if isinstance(error, WorkerNotStarted):
        return "Lower the setting `processes`: with 1 there are none. Run it again."
    if not isinstance(error, WarehouseUnusable):
        return ""
    if check := _OF_SERVERS.get(kind_of(error.database)):
        return f"Check the setting `warehouse`{check}"
    if "newer version" in error.reason:
        return "Upgrade duckdb here (`pip install --upgrade duckdb`), or set `warehouse` to another file."
    if "Permission denied" in error.reason or "Read-only" in error.reason:
        return "A sync writes: give its user the right to write the file and its folder."
    return "Check the setting `warehouse`."


def of_klaviyo(error: KlaviyoError, key_variable: str) -> str:
    """Say what went wrong with a question that every key may ask, and where to look. key_variable: holds the key."""
    if isinstance(error, InvalidApiKey):
        return f"{error} {key_variable} holds it."
    if isinstance(error, ForeignAnswer):
        return f"{error} Check the setting `api_url`."
    if isinstance(error, NotFound):
        return (
            f"The address in the setting `api_url` is not that of Klaviyo's API, which ends with /api: it has no "
            f"{error.operation}. The default is right for every account."
        )
    return str(error)


def of_waiting(waiting: Waiting, table: str, guard: float) -> str:
    """Say why rows of a table wait to be flagged, and what to do about it."""
    if waiting.suspicious:
        return suspicion(table, waiting.live, waiting.rows, guard, settles=waiting.settles)
    return (
        f"{waiting.rows:,} of the {waiting.live:,} live rows of {table} did not come with a complete read, and Klaviyo "
        "has not said of each of them that it is gone. They are not flagged as deleted: each complete read asks "
        f"for some more of them. {_say_so(table)}"
    )


def suspicion(table: str, live: int, going: int, guard: float, *, settles: bool) -> str:
    """Say that a complete read lacks suspiciously many rows, and what becomes of them."""
    then = f"unless a complete read at least {_HOURS} hours later lacks them too" if settles else "until you say so"
    return (
        f"{going:,} of the {live:,} live rows of {table} did not come with a complete read, more than the share of "
        f"{guard:.0%} that `delete_guard` allows. They are not flagged as deleted, {then}. {_say_so(table)}"
    )


def wait_notice(table: str, rows: int) -> str:
    """Say that rows of a table wait to be flagged."""
    then = f"A complete read {_HOURS} hours after it was first noticed settles it." if rows <= FEW_WAIT else ""
    notice = f"{rows:,} live rows did not come with a complete read and wait to be flagged as deleted."
    return " ".join(filter(None, (notice, then, _say_so(table))))


def _say_so(table: str) -> str:
    return f"If they are really gone, materialize {table} alone with `accept_shrink: true` in its run config."
