"""`dg.EnvVar` in the place of a setting, told by what it is like: the settings do without Dagster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from klaviyo_assets import environment
from klaviyo_assets.settings.existing import address_of
from klaviyo_assets.settings.problems import Unreadable
from klaviyo_assets.settings.sources import SECRETS
from klaviyo_assets.settings.sources import variable as own_variable

_ADDRESSES = ("warehouse", "duckdb_path")
_HOLDERS = {**SECRETS, **dict.fromkeys(_ADDRESSES, "warehouse_variable")}


def with_variables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from Python, with names of variables, or what these hold, in the place of each `dg.EnvVar`, and
    the address in the place of a resource that connects to the warehouse.

    Secrets, and the address of the warehouse, which may hold one, stay in the environment until a run needs them.
    """
    settled: dict[str, Any] = {}
    for name, value in values.items():
        settled |= dict(_settled(name, value, values))
    return settled


def _settled(name: str, value: Any, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if name in _ADDRESSES and (address := address_of(value)) is not None:
        name, value = ("resource" if isinstance(address, Unreadable) else name), address
    variable, holder = getattr(value, "env_var_name", None), _HOLDERS.get(name)
    if variable is None and name in SECRETS:
        yield (
            name,
            Unreadable(
                f'{name}: it has to be a variable of the environment, such as `dg.EnvVar("KLAVIYO_{name.upper()}")`, '
                f"or in YAML `{{{{ env.KLAVIYO_{name.upper()} }}}}`"
            ),
        )
    elif variable is None:
        yield name, value
    elif holder and values.get(holder, variable) != variable:
        yield name, Unreadable(f"{name} and {holder} are one setting and say different things: keep the first")
    elif holder or name in _HOLDERS.values():
        yield holder or name, variable
    elif found := environment.get(variable):
        if variable != own_variable(name):  # which is read anyway, and may hold a password
            yield name, found
    else:
        yield variable, Unreadable(f"{name}: the variable {variable}, which is to hold it, is not set")
