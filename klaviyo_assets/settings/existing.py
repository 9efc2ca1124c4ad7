"""A resource of Dagster's integrations in the place of the warehouse's address, told by what it is like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from klaviyo_assets import environment
from klaviyo_assets.settings.problems import Unreadable

_SNOWFLAKE = {
    "warehouse": "warehouse",
    "role": "role",
    "authenticator": "authenticator",
    "private_key_path": "private_key_file",
    "private_key_password": "private_key_file_pwd",
}
"""Field of dagster-snowflake's resource -> parameter of an address."""

_SECRET = ("password", "private_key_file_pwd", "credentials")


def address_of(resource: Any) -> str | Unreadable | None:
    """Return the address of the database that a resource connects to, None if it is no resource that is known.

    A `SnowflakeResource`, a `BigQueryResource` or a `DuckDBResource`. What is secret has to be a `dg.EnvVar`, and stays
    in its variable; others are looked up now. The resource's schema does not count: the tables' is a setting.
    """
    kinds = {kind.__name__ for kind in type(resource).__mro__}
    try:
        if "SnowflakeResource" in kinds:
            return _snowflake(resource)
        if "BigQueryResource" in kinds:
            given = {"location": _plain(resource, "location"), **_secret(resource, "gcp_credentials", "credentials")}
            return f"bigquery://{_plain(resource, 'project', needed=True)}{_query(given)}"
        return _plain(resource, "database", needed=True) if "DuckDBResource" in kinds else None
    except ValueError as error:
        return Unreadable(f"warehouse: {error}")


def _snowflake(resource: Any) -> str:
    if getattr(resource, "private_key", None):
        raise ValueError("a SnowflakeResource's private_key can't be taken over: give it a private_key_path")
    given: dict[str, str | None] = {}
    for field, name in _SNOWFLAKE.items():
        given |= _secret(resource, field, name) if name in _SECRET else {name: _plain(resource, field)}
    given |= _secret(resource, "password", "password")
    for name, value in (getattr(resource, "additional_snowflake_connection_args", None) or {}).items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError(f"the SnowflakeResource's additional {name} has no place in an address")
        given[name] = str(value)
    user = quote(_plain(resource, "user") or "", safe="")
    account, database = (_plain(resource, name, needed=True) or "" for name in ("account", "database"))
    return f"snowflake://{user}{'@' if user else ''}{account}/{quote(database, safe='')}{_query(given)}"


def _plain(resource: Any, field: str, *, needed: bool = False) -> str | None:
    """Return a field, or what its variable holds; raise ValueError if there is none and there has to be one."""
    value = getattr(resource, field, None)
    if variable := getattr(value, "env_var_name", None):
        value = environment.get(variable)
        if value is None:
            raise ValueError(f"the variable {variable}, which is to hold the {field}, is not set")
    if needed and not value:
        raise ValueError(f"the {type(resource).__name__} has no {field}")
    return str(value) if value else None


def _secret(resource: Any, field: str, name: str) -> dict[str, str | None]:
    value = getattr(resource, field, None)
    variable = getattr(value, "env_var_name", None)
    if value and not variable:
        raise ValueError(f"the {type(resource).__name__}'s {field} has to be a `dg.EnvVar`")
    return {f"{name}_variable": variable}


def _query(given: Mapping[str, str | None]) -> str:
    told = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items() if value)
    return f"?{told}" if told else ""
