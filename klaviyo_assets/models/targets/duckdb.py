"""The models in a DuckDB file, or at MotherDuck, whose token is in the environment already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.location import located

_CONNECT_ATTEMPTS = 8
"""dbt waits 1, 2, 4, ... seconds between two: about four minutes in all."""


def target(database: str, schema: str, config: Mapping[str, Any]) -> Target:
    """Return where models go. database: a file, or `md:name`. config: of the connection."""
    settings = {
        "path": located(database),
        "config_options": dict(config),
        "attach": [{"path": ":memory:", "alias": "klaviyo_models_staging"}],
        "settings": {"TimeZone": "UTC"},
        "retries": {"connect_attempts": _CONNECT_ATTEMPTS, "retryable_exceptions": ["IOException"]},
    }
    return Target("duckdb", schema, settings)
