"""Connections to a server, and its errors as those of a warehouse: facts, without a password or a value of a row."""

from __future__ import annotations

import datetime as dt
import re
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader

from klaviyo_assets.warehouse.errors import (
    ConnectionLost,
    ConstraintViolated,
    DiskFull,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
    without_values,
)
from klaviyo_assets.warehouse.parameters import secrets_in
from klaviyo_assets.warehouse.variables import url_of

APPLICATION = "klaviyo_assets"

Connection = psycopg.Connection[tuple[Any, ...]]

_DEFAULTS: Mapping[str, str] = {
    "application_name": APPLICATION,
    "connect_timeout": "15",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_WHERE_PASSWORDS_ARE = (
    "the whole URL with the password belongs into an environment variable, or the password into ~/.pgpass: the UI "
    "shows the address"
)
_FOR_A_WHILE = re.compile(
    "too many (?:clients|connections)|no more connections allowed|remaining connection slots"
    "|the database system is (?:starting up|shutting down|in recovery)|not yet accepting connections"
)
_REASON = re.compile(r"^.*?(?:FATAL|ERROR):\s+", re.DOTALL)
_VALUE = re.compile(r'"[^"]*"')
_LATE_YEAR = re.compile(r"\d{5,}-")


class _UTCLoader(Loader):
    """Reads a `timestamptz` as a time in UTC without a zone, also in a session that a pool or a user left in another.

    Times beyond Python's, infinite ones included, become the first or the last of these.
    """

    def load(self, data: Buffer) -> dt.datetime:
        text = bytes(data).decode()
        if text == "-infinity" or text.endswith("BC"):
            return dt.datetime.min
        if text == "infinity" or _LATE_YEAR.match(text):
            return dt.datetime.max
        moment = dt.datetime.fromisoformat(text)
        offset = moment.utcoffset()
        return moment.replace(tzinfo=None) - offset if offset else moment.replace(tzinfo=None)


class _RealLoader(Loader):
    """Reads a `real` as the number that it is, not as its shortest text, which is another one."""

    def load(self, data: Buffer) -> float:
        (number,) = struct.unpack("f", struct.pack("f", float(bytes(data))))
        return float(number)


def connect(
    address: str,
    url_variable: str | None,
    *,
    patience: float,
    has_answered: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Connection:
    """Open a connection, without a transaction. patience: seconds to wait for a server that is starting, or full, or
    for one that `has_answered` before, whatever is wrong with it now.

    Raises WarehouseUnusable if that is impossible.
    """
    parameters = _parameters(address, url_variable)
    deadline = clock() + patience
    pause = 0.2
    while True:
        try:
            connection = psycopg.connect(
                **parameters, autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=None
            )
            break
        except (psycopg.Error, OSError) as error:
            reason = _told(error, parameters)
            if not (has_answered or _FOR_A_WHILE.search(reason)) or clock() >= deadline:
                if "password" in reason and not url_variable:
                    reason += f" ({_WHERE_PASSWORDS_ARE})"
                raise WarehouseUnusable(address, reason) from None
        sleep(pause)
        pause = min(2 * pause, 2.0)
    for name in ("timestamptz", "timestamp"):
        connection.adapters.register_loader(name, _UTCLoader)
    connection.adapters.register_loader("float4", _RealLoader)
    for name in ("json", "jsonb"):
        connection.adapters.register_loader(name, TextLoader)
    return connection


def _parameters(address: str, url_variable: str | None) -> dict[str, Any]:
    given = url_of(address, url_variable)
    try:
        parameters = conninfo.conninfo_to_dict(given)
    except psycopg.Error:  # whose text may hold a part of the password
        where = f"the environment variable {url_variable}" if url_variable else "its address"
        raise WarehouseUnusable(
            address, f"{where} is no URL as Postgres knows them: postgresql://user:password@host:5432/database"
        ) from None
    return {**_DEFAULTS, **parameters, "client_encoding": "UTF8"}


def _told(error: Exception, parameters: Mapping[str, Any]) -> str:
    text = str(error).strip()
    for secret in secrets_in(parameters):
        text = text.replace(secret, "***")
    reason = _REASON.sub("", text) if "FATAL" in text or "ERROR" in text else text
    return " ".join(reason.splitlines()[0].split()) if reason else type(error).__name__


def translated(error: psycopg.Error, *, place: str, schema: str, committing: bool, lost: bool) -> WarehouseError:
    """Return a server's error as one of `warehouse.errors`.

    committing: whether it came while a transaction was committed. lost: whether the connection is.
    """
    state, diagnosis = error.sqlstate or "", error.diag
    message = diagnosis.message_primary or str(error).partition("\n")[0]
    if lost or state.startswith(("08", "57P")):
        return ConnectionLost(place, _VALUE.sub("***", message), committing=committing)
    if state.startswith("23"):
        named = f"{diagnosis.table_name}.{diagnosis.column_name}: " if diagnosis.column_name else ""
        return ConstraintViolated(schema, f"{named}{message}.")
    if state == "53100":
        return DiskFull(place, "Free some on the server, and run it again.")
    if state == "55P03":
        return WarehouseLocked(f"A table of {place} is locked by somebody else, who did not let go in time.")
    if state == "42501" and "row-level security" in message:
        return WarehouseUnusable(
            place,
            f"{message}, which hides rows from the role. Turn FORCE ROW LEVEL SECURITY off for the table, of which the "
            "role has to be the owner, or give the role BYPASSRLS",
        )
    if state in ("42501", "25006"):
        return WarehouseUnusable(place, message)
    if state == "2BP01" and diagnosis.message_detail:  # names only
        message += f": {', '.join(diagnosis.message_detail.splitlines())}"
    if state.startswith("22"):  # it quotes what it can't read
        message = without_values(message)
    if state == "40P01":
        message += ": somebody else changed the same tables, and Postgres ended this transaction. Run it again"
    return WarehouseError(f"{place} refuses a statement, and nothing was written: {message} ({state or 'no code'}).")
