"""Where dbt builds the models: what its profile says, and what only its environment may hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.models.project import PROJECT_NAME
from klaviyo_assets.warehouse.location import Kind

_SECRET = "DBT_ENV_SECRET_KLAVIYO_"  # noqa: S105
"""Beginning of the names of variables that dbt masks in all that it writes."""


@dataclass(frozen=True)
class Target:
    """Where the models go.

    kind: of the database, which is dbt's name of it. schema: of the models. settings: of the connection, as dbt has
    them. secrets: settings that no file may hold. variables: that dbt's process gets besides.
    """

    kind: Kind
    schema: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def profile(self) -> dict[str, Any]:
        """Return the content of dbt's profiles.yml; secrets stay in the environment."""
        output: dict[str, Any] = {
            "type": self.kind,
            "schema": self.schema,
            "threads": min(os.cpu_count() or 1, 4),
            **self.settings,
        }
        for name in self.secrets:
            place = output
            *parents, last = name.split(".")
            for parent in parents:
                place = place[parent]
            place[last] = f"{{{{ env_var('{_variable(name)}') }}}}"
        return {PROJECT_NAME: {"target": self.kind, "outputs": {self.kind: output}}}

    def environment(self) -> dict[str, str]:
        """Return what dbt's process gets besides what this one has."""
        return {**self.variables, **{_variable(name): value for name, value in self.secrets.items()}}


def _variable(name: str) -> str:
    return _SECRET + name.replace(".", "_").upper()
