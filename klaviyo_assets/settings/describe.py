"""The settings in words: those in effect, an example file, a JSON schema for editors."""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from klaviyo_assets.settings.model import Settings
from klaviyo_assets.settings.sources import FORMER_NAME, public_name, setting_origin
from klaviyo_assets.warehouse.location import shown

_EXAMPLES: dict[str, Any] = {
    "tables": {"coupon_code": False, "image": True},
    "blocked_columns": {"person": ["phone_number", "custom_*birth*"], "event": ["property_*phone*"]},
    "hashed_columns": {"person": ["email", "custom_*email*"], "event": ["property_*email*"]},
    "history_start": "2020-01-01",
    "owners": ["team:data"],
    "schema": "klaviyo",
}
_HEAD = """\
# Settings of klaviyo_assets. The environment variable KLAVIYO_SETTINGS holds the path of this file; what is set in the
# environment (KLAVIYO_ and the name in capitals; JSON for lists and tables) or in .env wins over it. Secrets are not
# settings: the API key and the salt of digests are only ever read from the environment. Durations are ISO 8601 (PT5M,
# PT3H, P1D) or seconds. Lines that begin with "#:" are examples; after them comes the setting as it is by default.
"""
_FIRST_HEAD = (
    "Settings of klaviyo_assets. Secrets are in .env, whose KLAVIYO_SETTINGS names this file; what the environment "
    "says wins over it. `klaviyo-assets settings --example` prints every setting, its meaning and its default. "
    'Lines that begin with "#:" are examples.'
)


def effective(settings: Settings) -> str:
    """Return the settings in effect as YAML, each with where it comes from; secrets are not among them."""
    lines: list[str] = []
    for name, value in _values(settings).items():
        first, *more = _yaml({name: value}).splitlines()
        lines += [f"{first:<48}  # {setting_origin(name) or 'default'}", *more]
    return "\n".join(lines) + "\n"


def chosen(settings: Settings) -> dict[str, tuple[Any, str]]:
    """Return the settings that are not left at their default: value as plain data, and where it comes from."""
    given = {name: (value, setting_origin(name)) for name, value in _values(settings).items()}
    return {name: (value, place) for name, (value, place) in given.items() if place}


def example() -> str:
    """Return a settings file with every setting, its meaning and its default; all of it may stay as it is."""
    parts = [_HEAD]
    for field, value in _values(Settings.model_construct()).items():
        info = Settings.model_fields["schema_name" if field == "schema" else field]
        lines = [f"# {line}" for line in _wrapped(info.description or "")]
        if field in _EXAMPLES and _EXAMPLES[field] != value:
            lines += _examples(field)
        parts.append("\n".join([*lines, _yaml({field: value}).rstrip()]) + "\n")
    return "\n".join(parts)


def beginning(warehouse: str | None) -> str:
    """Return a settings file to begin with. warehouse: its address; None if that is in the environment."""
    lines = [f"# {line}" for line in _wrapped(_FIRST_HEAD)]
    if warehouse is not None:
        lines += ["", _yaml({"warehouse": warehouse}).rstrip()]
    for name in ("history_start", "tables", "blocked_columns"):
        description = Settings.model_fields[name].description or ""
        lines += ["", *(f"# {line}" for line in _wrapped(description))]
        lines += _examples(name)
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """Return a JSON schema of the settings file."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Settings of klaviyo_assets"
    schema["properties"] = {public_name(name): member for name, member in schema["properties"].items()}
    older = {"$ref": "#/properties/warehouse", "deprecated": True, "description": "The former name of `warehouse`."}
    schema["properties"][FORMER_NAME] = older
    schema.pop("description", None)
    return schema


def _values(settings: Settings) -> dict[str, Any]:
    values = {public_name(name): value for name, value in settings.model_dump(mode="json").items()}
    values["warehouse"] = shown(values["warehouse"])
    return values


def _examples(name: str) -> list[str]:
    return [f"#: {line}" for line in _yaml({name: _EXAMPLES[name]}).splitlines()]


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text.removesuffix("; called `schema` in a settings file."), 116)
