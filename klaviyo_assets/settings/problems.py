"""What is wrong with settings: every problem with its place, in one error."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import textwrap
from collections.abc import Callable, Collection, Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from klaviyo_assets.warehouse.location import shown

Problem = tuple[tuple[str | int, ...], str]
"""Where something is wrong below a setting, and what."""

_WORDS = {
    "Input should be a valid dictionary": "it has to be a mapping, such as {campaign: false}; JSON in the environment",
    "Input should be a valid timedelta": "it has to be a duration, such as PT1H, or seconds",
    "Input should be": "it has to be",
    "Value error, ": "",
    "Field required": "it is missing",
    "String should": "it has to",
    "List should": "it has to",
}


_SECRET_NAME = re.compile("key|salt|token|secret|password", re.IGNORECASE)
_SECRET = re.compile(r"(\bpk_|token=|password=)[^&\s'\"]+|(://[^/@:\s]*:|\brediss?://)[^\s'\"]*(?=@)", re.IGNORECASE)


class SettingsError(ValueError):
    """The settings are wrong; the message lists every problem with its place."""


class Problems(ValueError):
    """What a validator found wrong with the parts of one setting."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(text for _, text in self.problems))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise Problems if there are any."""
    found = list(problems)
    if found:
        raise Problems(found)


def similar(name: str, names: Collection[str]) -> str:
    """Return a question that names what was probably meant; nothing if nothing comes near."""
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def explained(
    error: ValidationError, names: Collection[str], source: Callable[[str], str | None], public: Callable[[str], str]
) -> SettingsError:
    """Return one error for all that is wrong, with the values that were given, unless they look like secrets.

    names: the settings that exist. source: says where a setting was given. public: the name that users know.
    """
    lines = [line for details in error.errors(include_url=False) for line in _lines(details, names, source, public)]
    count = "One setting is wrong" if len(lines) == 1 else f"{len(lines)} settings are wrong"
    return SettingsError("\n".join([f"{count}:", *(f"- {line}" for line in lines)]))


def _lines(
    details: ErrorDetails, names: Collection[str], source: Callable[[str], str | None], public: Callable[[str], str]
) -> list[str]:
    setting, *inside = details["loc"] or ("settings",)
    name = public(str(setting))
    raised = details.get("ctx", {}).get("error")
    if details["type"] == "extra_forbidden":
        text = f"there is no such setting{similar(name, names)}"
        if f"{name}_variable" in names:
            text = (
                "a secret does not belong here, where it is kept in the clear: put it into the environment variable "
                f"KLAVIYO_{name.upper()}, in .env for example"
            )
        found: list[Problem] = [((), text)]
        if isinstance(details["input"], Unreadable):
            return [str(details["input"])]
    elif isinstance(raised, Problems):
        found = raised.problems
    else:
        found = [((), f"{_plain(details['msg'])}, not {as_given(details['input'], setting)}")]
    origin = source(str(setting))
    where = f" ({origin})" if origin else ""
    return [f"{_path((name, *inside, *place))}{where}: {text}" for place, text in found]


def as_given(value: Any, setting: str | int = "") -> str:
    """Return a value as an error may show it: short, and without what looks like a secret."""
    if _SECRET_NAME.search(str(setting)):
        return "what was given"
    if setting == "warehouse" and isinstance(value, str):
        value = shown(value)
    if isinstance(value, dt.date | dt.timedelta):
        value = str(value)
    return textwrap.shorten(without_secrets(repr(value)), 100, placeholder=" ...")


def without_secrets(text: str) -> str:
    """Return a text in which keys of Klaviyo and tokens in addresses are masked."""
    return _SECRET.sub(r"\1\2***", text)


class Unreadable(str):
    """Takes the place of the settings in a file that can't be read: what is wrong with it."""

    __slots__ = ()


def _plain(message: str) -> str:
    for words, plain in _WORDS.items():
        message = message.replace(words, plain)
    return message[:1].lower() + message[1:]


def _path(place: Iterable[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
