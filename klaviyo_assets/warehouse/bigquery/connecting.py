"""The client of BigQuery's API, and its errors as those of a warehouse: facts, without a secret or a value of a row."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from google.api_core import exceptions
from google.api_core.client_info import ClientInfo
from google.api_core.client_options import ClientOptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client
from google.oauth2 import service_account

from klaviyo_assets import environment
from klaviyo_assets.warehouse.bigquery.address import Address, parsed
from klaviyo_assets.warehouse.errors import (
    ConnectionLost,
    ConstraintViolated,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
    without_values,
)
from klaviyo_assets.warehouse.variables import read_address

__all__ = ["ERRORS", "Client", "WriteConflict", "address_of", "connect", "exceptions", "key_of", "translated"]

ERRORS: tuple[type[Exception], ...] = (
    exceptions.GoogleAPIError,
    auth_exceptions.GoogleAuthError,
    requests.exceptions.RequestException,
)
"""Whatever the client raises when something is wrong with the service, or the way to it."""

_UNREADABLE: tuple[type[Exception], ...] = (*ERRORS, OSError, ValueError, TypeError, KeyError)

APPLICATION = "klaviyo_assets"
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]

_VALUE = re.compile("(?<=value: ).*")
_REQUEST = re.compile(r"^(?:\d{3} )?(?:GET|POST|PUT|PATCH|DELETE) \S+: ")
_DETAILS = re.compile(r"; reason: .*", re.DOTALL)
_CONFLICT = re.compile("concurrent (?:update|transaction|DML)|Transaction is aborted", re.IGNORECASE)
_NOT_NULL = re.compile(r"Required field|cannot be null|NOT NULL", re.IGNORECASE)
_SERVER_ERRORS = 500


class WriteConflict(WarehouseLocked):
    """Somebody else changed a table at the same time, and BigQuery has undone this transaction."""


def connect(address: str, url_variable: str | None) -> Client:
    """Return a client for a project; what is wrong with its credentials is found at its first request, too.

    Raises WarehouseUnusable if there is no address, or if there are no credentials.
    """
    given = address_of(address, url_variable)
    options: dict[str, Any] = {}
    if endpoint := given.parameters.get("endpoint"):
        options["api_endpoint"] = endpoint
    if quota_project := given.parameters.get("quota_project"):
        options["quota_project_id"] = quota_project
    try:
        return Client(
            given.project,
            credentials=_credentials(given),
            location=given.parameters.get("location"),
            client_info=ClientInfo(user_agent=APPLICATION),
            client_options=ClientOptions(**options),
        )
    except _UNREADABLE as error:
        variable = given.parameters.get("credentials_variable")
        where = f" of {variable}" if variable else ""
        reason = (
            str(error)
            if isinstance(error, OSError | auth_exceptions.DefaultCredentialsError)
            else "they are no key of a service account"
        )
        raise WarehouseUnusable(address, f"the credentials{where}: {_without(reason, given.parameters)}") from None


def address_of(address: str, url_variable: str | None) -> Address:
    """Return what an address says with its secrets; raise WarehouseUnusable if it is none."""
    return read_address(address, url_variable, parsed)


def _credentials(given: Address) -> Any:
    """Return credentials: those that are told, else None, for which the client looks where Google's libraries do.

    https://cloud.google.com/docs/authentication/application-default-credentials
    """
    if given.parameters.get("endpoint"):
        anonymous: Any = AnonymousCredentials
        return anonymous()
    key = key_of(given)
    if key is None:
        return None
    credentials: Any = service_account.Credentials
    return credentials.from_service_account_info(key, scopes=_SCOPES)


def key_of(given: Address) -> Any:
    """Return what the key of a service account says, if one is told; None if not.

    Raises OSError if it is not there, ValueError if it is none.
    """
    variable = given.parameters.get("credentials_variable")
    if path := given.parameters.get("credentials_path"):
        told: str | None = Path(path).read_text()
    else:
        told = environment.get(variable) if variable else given.parameters.get("credentials_base64")
    if variable and not told:
        raise OSError("the environment variable is not set")
    return _key(told) if told else None


def _key(told: str) -> Any:
    """Return what the key of a service account says, from JSON or from base64 of it."""
    if not told.lstrip().startswith("{"):
        try:
            told = base64.b64decode(told, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("neither JSON nor base64") from None
    found = json.loads(told)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _without(text: str, parameters: Mapping[str, str]) -> str:
    secret = parameters.get("credentials_base64")
    return text.replace(secret, "***") if secret else text


def translated(error: Exception, *, place: str, schema: str, committing: bool = False) -> WarehouseError:
    """Return an error of BigQuery's, or of the way to it, as one of `warehouse.errors`.

    committing: whether it came while a transaction was committed.
    """
    message = _message(error)
    if isinstance(error, auth_exceptions.GoogleAuthError) and not isinstance(error, auth_exceptions.TransportError):
        return WarehouseUnusable(place, message)
    if not isinstance(error, exceptions.GoogleAPICallError) or (error.code or _SERVER_ERRORS) >= _SERVER_ERRORS:
        return ConnectionLost(place, message, committing=committing)
    reason = str(error.errors[0].get("reason", "")) if error.errors and isinstance(error.errors[0], dict) else ""
    if _CONFLICT.search(message):
        return WriteConflict(
            f"A table of {place} was changed by somebody else at the same time, and nothing was written: {message}."
        )
    if isinstance(error, exceptions.Unauthorized) or reason in ("accessDenied", "billingNotEnabled"):
        return WarehouseUnusable(place, message)
    if reason in ("quotaExceeded", "rateLimitExceeded", "bytesBilledLimitExceeded"):
        return WarehouseError(f"A limit of {place} is used up, and nothing was written: {message}.")
    if _NOT_NULL.search(message):
        return ConstraintViolated(schema, f"{message}.")
    message = without_values(_VALUE.sub("***", message))
    return WarehouseError(f"{place} refuses a statement, and nothing was written: {message} ({reason or 'no reason'}).")


def _message(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error).strip()
    text = _DETAILS.sub("", _REQUEST.sub("", text))
    return " ".join(text.splitlines()[0].split()).rstrip(".") if text else type(error).__name__
