"""Where dbt builds the models: what its profile says, and what only its environment may hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from klaviyo_assets.models.project import PROJECT_NAME
from klaviyo_assets.warehouse.location import Kind, located
from klaviyo_assets.warehouse.warehouse import Warehouse

_CONNECT_ATTEMPTS = 8
"""dbt waits 1, 2, 4, ... seconds between two: about four minutes in all."""

_PASSWORD = "DBT_ENV_SECRET_KLAVIYO_PASSWORD"  # noqa: S105
"""A variable of a name that dbt masks in all that it writes."""


class Target(Protocol):
    """Where the models go. kind: of the database, which is dbt's name of it. schema: of the models."""

    @property
    def kind(self) -> Kind:
        """Kind of the database."""

    @property
    def schema(self) -> str:
        """Schema of the models."""

    def profile(self) -> dict[str, Any]:
        """Return the content of dbt's profiles.yml; secrets stay in the environment."""

    def environment(self) -> dict[str, str]:
        """Return what dbt's process gets besides what this one has."""


@dataclass(frozen=True)
class DuckDBTarget:
    """database: a DuckDB file, or `md:name`. schema: of the models. config: of the connection."""

    database: str
    schema: str
    config: Mapping[str, Any]
    kind: Kind = "duckdb"

    def profile(self) -> dict[str, Any]:
        """Return the content of dbt's profiles.yml."""
        return _profile(
            {
                "type": "duckdb",
                "path": located(self.database),
                "schema": self.schema,
                "threads": _threads(),
                "config_options": dict(self.config),
                "attach": [{"path": ":memory:", "alias": "klaviyo_models_staging"}],
                "settings": {"TimeZone": "UTC"},
                "retries": {"connect_attempts": _CONNECT_ATTEMPTS, "retryable_exceptions": ["IOException"]},
            }
        )

    def environment(self) -> dict[str, str]:
        """Return nothing: MotherDuck's token is in the environment already."""
        return {}


@dataclass(frozen=True)
class PostgresTarget:
    """parameters: those that libpq has connected with, by its names. password: never part of the profile."""

    parameters: Mapping[str, str]
    schema: str
    password: str = field(default="", repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: Kind = "postgres"

    def profile(self) -> dict[str, Any]:
        """Return the content of dbt's profiles.yml."""
        given = self.parameters
        return _profile(
            {
                "type": "postgres",
                "host": given.get("host", ""),
                "port": int(given.get("port") or 5432),
                "user": given.get("user", ""),
                "password": f"{{{{ env_var('{_PASSWORD}') }}}}" if self.password else "",
                "dbname": given["dbname"],
                "schema": self.schema,
                "threads": _threads(),
                "application_name": "klaviyo_assets models",
                "connect_timeout": 15,
                "retries": 3,
            }
        )

    def environment(self) -> dict[str, str]:
        """Return what dbt has no setting for, as libpq's variables: how TLS is spoken, for one."""
        secret = {_PASSWORD: self.password} if self.password else {}
        return {**self.variables, **secret, "PGTZ": "UTC"}


def target_of(warehouse: Warehouse, kind: Kind, schema: str) -> Target:
    """Return where the models of a warehouse go, once it is there for others: who holds it is waited for.

    Raises WarehouseError if it can't be reached.
    """
    with warehouse.session(writes=False) as session:
        if kind == "duckdb":
            duckdb = cast("Any", warehouse)
            return DuckDBTarget(duckdb.database, schema, duckdb.connection_config or {})
        info = cast("Any", session).connection.info
        return _on_server(info, schema)


def _on_server(info: Any, schema: str) -> PostgresTarget:
    """info: psycopg's, of a connection, which knows what services, files and variables have come to."""
    from psycopg.pq import Conninfo

    parameters = {**info.get_parameters(), "host": info.host, "port": str(info.port), "dbname": info.dbname}
    parameters["user"] = info.user
    names = {option.keyword.decode(): (option.envvar or b"").decode() for option in Conninfo.get_defaults()}
    ours = {"host", "port", "user", "dbname", "password", "service", "application_name", "client_encoding"}
    variables = {names[key]: value for key, value in parameters.items() if names.get(key) and key not in ours}
    return PostgresTarget(parameters, schema, info.password or "", variables)


def _profile(output: Mapping[str, Any]) -> dict[str, Any]:
    return {PROJECT_NAME: {"target": output["type"], "outputs": {output["type"]: dict(output)}}}


def _threads() -> int:
    return min(os.cpu_count() or 1, 4)
