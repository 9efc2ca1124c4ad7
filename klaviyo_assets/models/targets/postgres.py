"""The models on a Postgres server."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.models.targets.target import Target


def target(info: Any, schema: str) -> Target:
    """Return where models go.

    info: psycopg's, of a connection, which knows what services, files and variables have come to. What dbt has no
    setting for, how TLS is spoken for one, it gets as libpq's variables.
    """
    from psycopg.pq import Conninfo

    settings = {
        "host": info.host,
        "port": int(info.port or 5432),
        "user": info.user,
        "password": "",
        "dbname": info.dbname,
        "application_name": "klaviyo_assets models",
        "connect_timeout": 15,
        "retries": 3,
    }
    names = {option.keyword.decode(): (option.envvar or b"").decode() for option in Conninfo.get_defaults()}
    ours = {"host", "port", "user", "dbname", "password", "service", "application_name", "client_encoding"}
    given = info.get_parameters()
    variables = {names[key]: value for key, value in given.items() if names.get(key) and key not in ours}
    secrets = {"password": info.password} if info.password else {}
    return Target("postgres", schema, settings, secrets, {**variables, "PGTZ": "UTC"})
