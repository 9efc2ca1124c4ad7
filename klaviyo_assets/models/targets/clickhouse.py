"""The models on a ClickHouse server."""

from __future__ import annotations

from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.clickhouse.address import Address
from klaviyo_assets.warehouse.clickhouse.connecting import SETTINGS, is_off
from klaviyo_assets.warehouse.errors import WarehouseUnusable

_PATIENCE = 1800
"""Seconds that a statement may take."""


def target(address: Address, schema: str) -> Target:
    """Return where models go. address: with its secrets.

    Raises WarehouseUnusable if dbt can't connect with what it says.
    """
    options = address.options
    if options.get("access_token"):
        raise WarehouseUnusable(
            address.text,
            "dbt knows no `access_token` of ClickHouse's: the models need an address with a user and a password, or do "
            "without them: `models: false`",
        )
    settings = {
        "driver": "http",
        "host": address.host,
        "port": address.port,
        "user": options.get("username", "default"),
        "password": "",
        "secure": address.secure,
        "verify": not is_off(options.get("verify")),
        "compression": "" if is_off(options.get("compress")) else "lz4",
        "connect_timeout": 15,
        "send_receive_timeout": _PATIENCE,
        "retries": 3,
        "custom_settings": {**SETTINGS, "max_execution_time": _PATIENCE},
        **{name: options[name] for name in ("client_cert", "client_cert_key") if options.get(name)},
    }
    secrets = {"password": options["password"]} if options.get("password") else {}
    # dbt has no setting for it, and OpenSSL reads it there.
    variables = {"SSL_CERT_FILE": options["ca_cert"]} if options.get("ca_cert") else {}
    return Target("clickhouse", schema, settings, secrets, variables)
