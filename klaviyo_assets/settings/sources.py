"""Where settings come from: Python first, then the environment, then the file that KLAVIYO_SETTINGS names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from klaviyo_assets.settings.problems import Unreadable

FILE_VARIABLE = "KLAVIYO_SETTINGS"
PREFIX = "KLAVIYO_"

SCHEMA_ALIAS = "KLAVIYO_SCHEMA"
"""Users write `schema`, which can't be a field: pydantic has a method of that name."""


def internal_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names that the model knows."""
    return {SCHEMA_ALIAS if name == "schema" else name: value for name, value in values.items()}


def public_name(name: str) -> str:
    """Return the name of a setting that users know."""
    return "schema" if name in (SCHEMA_ALIAS, "destination_schema") else name


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + public_name(name).upper()


def settings_file() -> str | None:
    """Return the path of the settings file, if the environment names one."""
    return os.environ.get(FILE_VARIABLE) or None


class Environment(EnvSettingsSource):
    """The environment; text that is no JSON where JSON is needed is left for validation to complain about."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Read JSON; return the text itself if it is none."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class SettingsFile(PydanticBaseSettingsSource):
    """A YAML file (JSON is YAML too)."""

    def __call__(self) -> dict[str, Any]:
        """Return the file's settings; a file that can't be read is a setting that is wrong."""
        path = settings_file()
        return {} if path is None else internal_names(_read(path))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the file is read as a whole."""
        raise NotImplementedError


def _read(path: str) -> dict[str, Any]:
    def wrong(what: str) -> dict[str, Any]:
        return {FILE_VARIABLE: Unreadable(what)}

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
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
