"""Where settings come from: Python first, then the environment, then the file that KLAVIYO_SETTINGS names.

The environment is the shell, then `.env` (klaviyo_assets/environment.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from klaviyo_assets import environment
from klaviyo_assets.settings.problems import Unreadable
from klaviyo_assets.shared_limits.place import place
from klaviyo_assets.warehouse.location import server

FILE_VARIABLE = "KLAVIYO_SETTINGS"
ENV_PREFIX = "KLAVIYO_"

SCHEMA_ALIAS = "KLAVIYO_SCHEMA"
"""Users write `schema`, which can't be a field: pydantic has a method of that name."""

WAREHOUSE = "KLAVIYO_WAREHOUSE"
"""The variable that holds the warehouse's address, unless `warehouse_variable` names another one."""

RATE_LIMITS = "KLAVIYO_RATE_LIMITS"
"""The variable of `rate_limits`; it may hold a password."""

SECRETS = {"api_key": "api_key_variable", "hash_salt": "hash_salt_variable"}
"""What is never given as it is -> the setting that holds the name of its variable."""

FORMER_NAME = "duckdb_path"
"""What `warehouse` was called when there was no other database, in the environment too."""

DEFAULT_FILE = "data/warehouse.duckdb"

FORMER_FILE = "data/klaviyo.duckdb"
"""The default in earlier versions. If a database is called as the schema, `klaviyo.event` is ambiguous in DuckDB."""


def internal_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names that the model knows."""
    names = {"schema": SCHEMA_ALIAS, FORMER_NAME: "warehouse"}
    if "warehouse" in values and FORMER_NAME in values:
        names.pop(FORMER_NAME)
        values = {**values, FORMER_NAME: Unreadable(f"`warehouse` and `{FORMER_NAME}` are one setting: keep the first")}
    return {names.get(name, name): value for name, value in values.items()}


def public_name(name: str) -> str:
    """Return the name of a setting that users know."""
    return "schema" if name in (SCHEMA_ALIAS, "schema_name") else name


def variable(name: str) -> str:
    """Return the environment variable of a setting; the one that is set, if it has two."""
    if name == "warehouse":
        given, former = warehouse_variable(), ENV_PREFIX + FORMER_NAME.upper()
        return former if environment.get(former) and not environment.get(given) else given
    return ENV_PREFIX + public_name(name).upper()


def warehouse_variable(given: Mapping[str, Any] | None = None) -> str:
    """Return the environment variable that holds the address of the warehouse. given: settings from Python."""
    name = "warehouse_variable"
    said = (given or {}).get(name) or environment.get(ENV_PREFIX + name.upper()) or in_file().get(name)
    return said if isinstance(said, str) else WAREHOUSE


def settings_file() -> str | None:
    """Return the path of the settings file, if the environment names one."""
    return environment.get(FILE_VARIABLE)


def setting_origin(name: str) -> str | None:
    """Return where a setting comes from that Python does not give, in words; None: it has its default."""
    name = public_name(name)
    given = variable(name)
    if environment.get(given) and name not in SECRETS:  # their variables are no settings
        return f"{given} in {environment.origin(given)}"
    if {name, *internal_names({name: None})} & in_file().keys():
        return settings_file()
    return "the default in earlier versions" if name == "warehouse" and former_file() else None


def former_file() -> bool:
    """Return whether the default file of earlier versions is there, and that of this version is not."""
    return Path(FORMER_FILE).exists() and not Path(DEFAULT_FILE).exists()


def in_file() -> dict[str, Any]:
    """Return what the settings file says; a file that can't be read is a setting that is wrong."""
    path = settings_file()
    return {} if path is None else internal_names(_read(path))


class Environment(EnvSettingsSource):
    """The environment; text that is no JSON where JSON is needed is left for validation to complain about."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {
            name.lower(): value for name, value in environment.variables().items() if value and name == name.upper()
        }

    def __call__(self) -> dict[str, Any]:
        """Return the settings that are set."""
        former, name = ENV_PREFIX + FORMER_NAME.upper(), warehouse_variable(self.current_state)
        address, before = environment.get(name), self.env_vars.get(former.lower()) if name == WAREHOUSE else None
        others = {name: value for name, value in self.env_vars.items() if name != WAREHOUSE.lower()}
        self.env_vars = {**others, **({WAREHOUSE.lower(): address or before} if address or before else {})}
        found = super().__call__()
        if address and before and address != before:
            places = " and ".join(f"{each} in {environment.origin(each)}" for each in (name, former))
            found[name] = Unreadable(f"{places} are one setting and say different things: keep the first")
        if not address and name != WAREHOUSE and not {"warehouse"} & {*self.current_state, *in_file()}:
            found[name] = Unreadable(f"{name}, which the setting `warehouse_variable` names, is not set")
        with suppress(ValueError):  # which the validation raises again
            if "warehouse" in found and (at := server(found["warehouse"])):
                found["warehouse"] = at.text  # only here may there be a password, and it stays in the environment
        with suppress(ValueError):
            if isinstance(counted := found.get("rate_limits"), str) and (there := place(counted)):
                found["rate_limits"] = there.text
        return found

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Read JSON; return the text itself if it is none."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class _Values(PydanticBaseSettingsSource):
    """A source that is read as a whole."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used."""
        raise NotImplementedError


class SettingsFile(_Values):
    """A YAML file (JSON is YAML too)."""

    def __call__(self) -> dict[str, Any]:
        """Return the file's settings."""
        return in_file()


class FormerDefaults(_Values):
    """What earlier versions have left on the disk."""

    def __call__(self) -> dict[str, Any]:
        """Return the former default file, if there is one and no newer one."""
        return {"warehouse": FORMER_FILE} if former_file() else {}


class _Loader(yaml.SafeLoader):
    """Leaves dates to the settings, which say what is wrong with one."""


_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: str) -> dict[str, Any]:
    def wrong(what: str) -> dict[str, Any]:
        return {FILE_VARIABLE: Unreadable(what)}

    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 # a safe one
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return wrong(f"{FILE_VARIABLE} names {path}, which does not exist")
        return wrong(f"{FILE_VARIABLE} names {path}, which can't be read: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        return wrong(f"{path} is no YAML: {getattr(error, 'problem', None) or 'it has to be UTF-8 text'}{place}")
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        return wrong(f"{path} has to hold settings, one a line, such as `schema: klaviyo`")
    return content
