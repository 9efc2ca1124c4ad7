"""The models at Snowflake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.errors import WarehouseUnusable
from klaviyo_assets.warehouse.snowflake.text import swapped

_SECRETS = {
    "password": "password",
    "token": "token",
    "private_key": "private_key",
    "private_key_passphrase": "private_key_passphrase",
    "private_key_file_pwd": "private_key_passphrase",
}
_SETTINGS = {
    "account": "account",
    "user": "user",
    "role": "role",
    "warehouse": "warehouse",
    "authenticator": "authenticator",
    "host": "host",
    "port": "port",
    "protocol": "protocol",
    "proxy_host": "proxy_host",
    "proxy_port": "proxy_port",
    "private_key_file": "private_key_path",
    "workload_identity_provider": "workload_identity_provider",
    "workload_identity_entra_resource": "workload_identity_entra_resource",
}
"""What the connector calls it -> what dbt does: https://docs.getdbt.com/docs/core/connect-data-platform/snowflake-setup"""

_AUTHENTICATORS = {"oauth", "programmatic_access_token", "workload_identity", "externalbrowser"}
"""Those that dbt hands on as they are, in lower case."""

_NOT_THERE = ("passcode", "oauth_client_secret", "token_file_path")
_PLAIN = re.compile("[a-z_][a-z0-9_$]*")


def target(parameters: Mapping[str, Any], database: str, schema: str, *, place: str) -> Target:
    """Return where models go.

    parameters: of the connector, secrets included. database: as it is stored. place: the address without
    secrets. Raises WarehouseUnusable if dbt can't connect with them, or can't write the schema's name.
    """
    database = swapped(database)
    for what, name in {"database": database, "schema": schema}.items():
        if not _PLAIN.fullmatch(name):
            raise WarehouseUnusable(
                place,
                f"dbt writes names without quotes there, so that the models can't go to the {what} {name!r}: it may "
                "have letters of one case, digits and `_`; or do without the models: `models: false`",
            )
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    how = str(given.get("authenticator", "")).lower()
    lacking = [name for name in _NOT_THERE if name in given]
    if how.startswith("oauth_"):
        lacking.insert(0, f"authenticator={given['authenticator']}")
    if lacking:
        raise WarehouseUnusable(
            place,
            f"dbt can't connect with {', '.join(lacking)}: the models need a key pair (`private_key_file`), a "
            "password or a token; or do without them: `models: false`",
        )
    settings = {ours: given[theirs] for theirs, ours in _SETTINGS.items() if theirs in given}
    if how in _AUTHENTICATORS:
        settings["authenticator"] = how
    elif how in ("snowflake", "snowflake_jwt"):  # which dbt finds by the password or the key
        del settings["authenticator"]
    settings |= {
        "database": database,
        "query_tag": "klaviyo_assets",
        "connect_retries": 3,
        "retry_on_database_errors": True,
    }
    secrets = {ours: str(given[theirs]) for theirs, ours in _SECRETS.items() if theirs in given}
    return Target("snowflake", schema, settings, secrets)
