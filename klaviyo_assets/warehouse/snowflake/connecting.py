"""Connections to Snowflake, and its errors as those of a warehouse: facts, without a secret or a value of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import snowflake.connector
from snowflake.connector import SnowflakeConnection as Connection
from snowflake.connector import errors
from snowflake.connector.config_manager import CONFIG_MANAGER

from klaviyo_assets import environment
from klaviyo_assets.warehouse.errors import (
    ConnectionLost,
    ConstraintViolated,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
    without_values,
)
from klaviyo_assets.warehouse.parameters import is_secret, secrets_in
from klaviyo_assets.warehouse.snowflake.address import parsed
from klaviyo_assets.warehouse.snowflake.text import swapped
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.variables import read_address

__all__ = ["LOCKED", "Connection", "connect", "errors", "is_missing", "parameters_of", "translated"]

APPLICATION = "klaviyo_assets"

_SESSION: Mapping[str, Any] = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    "BINARY_OUTPUT_FORMAT": "HEX",
    "JSON_INDENT": 0,
    # Else the account goes on with what a process that was killed has begun.
    "ABORT_DETACHED_QUERY": True,
    "QUERY_TAG": APPLICATION,
}
"""How values are written and read, whatever is set for the user or the account.

https://docs.snowflake.com/en/sql-reference/parameters
"""

_NOT_THERE = (2003, 2043)
_NO_RIGHT = (3001, 3041, 606, 90105, 90106, 904)
LOCKED = (625, 628)
_LOST = (250001, 250002, 250003, 250006, 250011, 250012, 390111, 390112, 390114)
_CONSTRAINT = (100072,)
"""Numbers of Snowflake's errors, and of the connector's: its module `errorcode` has those."""

_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"")
_CODE = re.compile(r"^\s*\d{6}\s*(?:\([0-9A-Z]+\))?:?\s*(?:[0-9a-f-]{36}:?\s*)?")


def connect(
    address: str, url_variable: str | None, *, schema: str, settings: Mapping[str, Any] | None = None
) -> Connection:
    """Open a connection, which commits each statement unless a transaction is begun.

    settings: parameters of the session beside those that say how values are written and read.
    Raises WarehouseUnusable if that is impossible.
    """
    given = _parameters(address, url_variable)
    parameters: dict[str, Any] = {
        "application": APPLICATION,
        "login_timeout": 60,
        "platform_detection_timeout_seconds": 0.0,  # it would ask the network which cloud this is, for statistics
        **given,
        "schema": quote(swapped(schema)),
        "paramstyle": "qmark",
        "autocommit": True,
        "session_parameters": {**_SESSION, **(settings or {})},
    }
    try:
        return snowflake.connector.connect(**parameters)
    except (errors.Error, OSError, ValueError, TypeError, KeyError) as error:
        raise WarehouseUnusable(address, _told(error, given)) from None


def _parameters(address: str, url_variable: str | None) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(read_address(address, url_variable, parsed).parameters)
    for told, variable in list(parameters.items()):
        name = told.removesuffix("_variable")
        if name != told and is_secret(name, variable):
            parameters[name] = environment.get(parameters.pop(told))
            if not parameters[name]:
                raise WarehouseUnusable(address, f"the environment variable {variable} with its {name} is not set")
    if "port" in parameters:
        parameters["port"] = int(parameters["port"])
    return parameters


def parameters_of(address: str, url_variable: str | None) -> dict[str, Any]:
    """Return the connector's parameters, those of a named connection included.

    Raises WarehouseUnusable if it is no address, or if there is no such connection.
    """
    given = _parameters(address, url_variable)
    if name := given.pop("connection_name", None):
        try:
            connections: Any = CONFIG_MANAGER["connections"]
            return {**connections[name], **given}
        except (KeyError, errors.Error) as error:
            raise WarehouseUnusable(address, _told(error, given)) from None
    return given


def _told(error: Exception, parameters: Mapping[str, Any]) -> str:
    text = str(getattr(error, "msg", None) or error).strip()
    for secret in secrets_in(parameters):
        text = text.replace(secret, "***")
    text = _CODE.sub("", text)
    return " ".join(text.splitlines()[0].split()) if text else type(error).__name__


def is_missing(error: errors.Error) -> bool:
    """Return whether an error says that a table or a schema is not there, or not to be seen."""
    return error.errno in _NOT_THERE


def translated(error: errors.Error, *, place: str, schema: str, committing: bool) -> WarehouseError:
    """Return an error of Snowflake's as one of `warehouse.errors`.

    committing: whether it came while a transaction was committed.
    """
    message = " ".join(_CODE.sub("", str(error.msg or error)).split())
    number = error.errno
    if number in _LOST or isinstance(error, errors.OperationalError | errors.InterfaceError):
        return ConnectionLost(place, _VALUE.sub("***", message), committing=committing)
    if number in _CONSTRAINT:
        return ConstraintViolated(schema, f"{message}.")
    if number in LOCKED:
        return WarehouseLocked(f"A table of {place} is locked by somebody else, who did not let go in time: {message}.")
    if number in _NO_RIGHT:
        return WarehouseUnusable(place, message)
    if (error.sqlstate or "").startswith("22"):  # it quotes what it can't read
        message = without_values(message)
    return WarehouseError(
        f"{place} refuses a statement, and nothing was written: {message} ({number or 'no code'}, "
        f"query {error.sfqid or 'unknown'})."
    )
