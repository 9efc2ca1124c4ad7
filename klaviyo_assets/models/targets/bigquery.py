"""The models at BigQuery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.bigquery.address import Address

_OF_A_KEY = "private_key"


def target(
    address: Address, schema: str, *, key: Mapping[str, Any] | None, location: str | None, most_billed: int | None
) -> Target:
    """Return where models go.

    key: of a service account; None: who connects is found where Google's libraries look for it. location: of the
    dataset with the tables, where those of the models have to be, too. most_billed: bytes that a statement may cost.
    """
    given = address.parameters
    settings: dict[str, Any] = {"database": address.project, "method": "oauth", "job_retries": 3}
    secrets: dict[str, str] = {}
    if endpoint := given.get("endpoint"):
        # An emulator takes any token.
        settings |= {"api_endpoint": endpoint, "method": "oauth-secrets", "token": "emulated"}
    elif key:
        settings |= {"method": "service-account-json", "keyfile_json": dict(key) | {_OF_A_KEY: ""}}
        secrets = {f"keyfile_json.{_OF_A_KEY}": str(key.get(_OF_A_KEY, ""))}
    if quota_project := given.get("quota_project"):
        settings["quota_project"] = quota_project
    if location:
        settings["location"] = location
    if most_billed:
        settings["maximum_bytes_billed"] = most_billed
    return Target("bigquery", schema, settings, secrets)
