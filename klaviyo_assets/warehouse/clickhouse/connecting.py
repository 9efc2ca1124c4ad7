"""Clients of a ClickHouse server, and its errors as those of a warehouse: without a secret or a value of a row."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError, StreamFailureError
from urllib3.exceptions import HTTPError

from klaviyo_assets.warehouse.clickhouse.address import SECRETS, Address, parsed
from klaviyo_assets.warehouse.errors import (
    ConnectionLost,
    ConstraintViolated,
    DiskFull,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
    without_values,
)
from klaviyo_assets.warehouse.variables import read_address

__all__ = ["ERRORS", "SETTINGS", "Client", "address_of", "code_of", "connect", "translated"]

ERRORS = (ClickHouseError, HTTPError)

SETTINGS: Mapping[str, Any] = {
    # A key is seen once, in its newest version, by all that this project asks.
    "final": 1,
    "join_use_nulls": 1,
    "cast_keep_nullable": 1,
    "insert_null_as_default": 1,
    "insert_allow_materialized_columns": 1,
    "prefer_column_name_to_alias": 1,
    "union_default_mode": "DISTINCT",
    "session_timezone": "UTC",
    "max_query_size": 64 * 2**20,
    # What is said to be done is done, on all replicas that can be asked next.
    "async_insert": 0,
    "alter_sync": 2,
    "mutations_sync": 2,
    "lightweight_deletes_sync": 2,
    "select_sequential_consistency": 1,
    "insert_deduplicate": 0,
    "allow_nondeterministic_mutations": 1,
    "output_format_arrow_string_as_string": 1,
    "date_time_input_format": "best_effort",
}
"""How statements are read, whatever is set for the user: https://clickhouse.com/docs/operations/settings/settings"""

_OLDEST = "SELECT toString(toDateTime64('0001-01-01 00:00:00', 6, 'UTC')) = '0001-01-01 00:00:00.000000'"

_NOT_THERE = (60, 81)
_EXISTS = (57, 82)
_NO_RIGHT = (164, 192, 193, 194, 195, 291, 497, 516)
_CONSTRAINT = (469, 349)
_FULL = (243, 1001)
_BUSY = (159, 202, 209, 210, 241)
"""Numbers of ClickHouse's errors: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp"""

_CODE = re.compile(r"Code:\s*(\d+)")
_NOISE = re.compile(r"^.*?DB::Exception:\s*|\s*\([A-Z_]+\)\s*(?:\(version.*)?$|\s*\(for url [^)]*\)", re.DOTALL)
_VALUE = re.compile(r"'(?:[^'\\]|\\.)*'|\"[^\"]*\"")
_STATEMENT = re.compile(r":? (?:In scope|[Ww]hile (?:executing|processing|converting)|Query:).*$", re.DOTALL)


def connect(address: str, url_variable: str | None, *, patience: float) -> Client:
    """Return a client, which this process shares; a request is all that it holds open.

    patience: seconds that a statement may be without an answer. Raises WarehouseUnusable if there is no such server.
    """
    found = address_of(address, url_variable)
    try:
        return _client(os.getpid(), found, patience)
    except (*ERRORS, OSError, ValueError) as error:
        raise WarehouseUnusable(address, _told(error, found)) from None


@lru_cache(maxsize=8)
def _client(process: int, address: Address, patience: float) -> Client:
    options: dict[str, Any] = dict(address.options)
    verify, compress = not is_off(options.pop("verify", None)), not is_off(options.pop("compress", None))
    client = clickhouse_connect.get_client(
        interface="https" if address.secure else "http",
        host=address.host,
        port=address.port,
        database=address.database or "__default__",
        verify=verify,
        compress=compress,
        client_name="klaviyo_assets",
        autogenerate_session_id=False,
        connect_timeout=15,
        send_receive_timeout=patience,
        query_retries=2,
        **options,
    )
    for name, value in SETTINGS.items():
        client.set_client_setting(name, value)
    if not client.command(_OLDEST):
        client.close()
        raise ValueError(
            f"its version, {client.server_version}, holds no times before 1900: 26.9 is what this is tested with"
        )
    return client


def address_of(address: str, url_variable: str | None) -> Address:
    """Return what an address says with its secrets; raise WarehouseUnusable if it is none."""
    return read_address(address, url_variable, parsed)


def _told(error: Exception, address: Address) -> str:
    text = str(error).strip()
    for name in SECRETS:
        if secret := address.options.get(name):
            text = text.replace(str(secret), "***")
    text = _NOISE.sub("", text)
    return " ".join(text.splitlines()[0].split()) if text else type(error).__name__


def is_off(option: str | None) -> bool:
    """Return whether an option of an address, on unless it is told, is turned off."""
    return (option or "true").lower() in ("0", "false", "no", "off")


def code_of(error: Exception) -> int | None:
    """Return the number of an error of the server's; None, if it is not one of those."""
    code = getattr(error, "code", None)
    if code is None and (found := _CODE.search(str(error))):
        code = int(found[1])
    return int(code) if code is not None else None


def is_missing(error: Exception) -> bool:
    """Return whether an error says that a table or a database is not there."""
    return code_of(error) in _NOT_THERE


def is_there(error: Exception) -> bool:
    """Return whether an error says that a table or a database is there already."""
    return code_of(error) in _EXISTS


def translated(error: Exception, *, place: str, schema: str, committing: bool) -> WarehouseError:
    """Return an error as one of `warehouse.errors`.

    committing: whether it came while the states were written. Of statements and values it tells nothing: those that
    can't be read are quoted by ClickHouse.
    """
    code = code_of(error)
    message = " ".join(_NOISE.sub("", str(error)).split())
    if code is None and isinstance(error, OperationalError | StreamFailureError | HTTPError):
        return ConnectionLost(place, _VALUE.sub("***", message), committing=committing)
    message = without_values(_STATEMENT.sub("", message)).rstrip(".")
    if code in _CONSTRAINT:
        return ConstraintViolated(schema, f"{message}.")
    if code in _FULL:
        return DiskFull(place, "Free some on the server, and run it again.")
    if code in _NO_RIGHT:
        return WarehouseUnusable(place, message)
    if code in _BUSY:
        return WarehouseLocked(f"{place} did not get done in time, or has too much to do: {message} ({code}).")
    return WarehouseError(
        f"{place} refuses a statement: {message} ({code or 'no code'}). Run it again, which doubles no row."
    )
