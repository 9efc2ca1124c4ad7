"""The environment variables, by one rule: the shell wins over the file `.env` of the working directory.

The commands of this project read `.env` themselves (`load`). Dagster's commands read it as well, but write it over
what the shell has exported, and hand the result to the processes that they start. What the shell had is then looked up
where it still is: in a variable that `klaviyo-assets dev` leaves (`kept`), or, on Linux, in what the kernel knows of
how `dagster job execute` and `dagster dev` were started.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

FILE = ".env"

_KEPT = "_KLAVIYO_ASSETS_SHELL"
_SETTLED = "{}"
_OF_DAGSTER_DEV = b"DAGSTER_IS_DEV_CLI"  # `dagster dev` sets it for all processes that it starts

_OF_OURS = re.compile(r"""\s*(?:export\s+)?["']?(KLAVIYO_\w*)""")
"""How a line begins that is to set a variable of this project."""


class UnreadableFile(ValueError):
    """`.env` can't be read, or not all of it; the message says where, and holds no value."""


def load() -> None:
    """Add to os.environ what `.env` has and the shell has not. Raises UnreadableFile, as all functions here do."""
    for name, value in written().items():
        os.environ.setdefault(name, value)


def variables() -> Mapping[str, str]:
    """Return the variables of this process, those that Dagster has overwritten as the shell has them."""
    in_file = written()
    if not in_file:
        return os.environ
    shell = _shell()
    overwritten = {name for name, value in in_file.items() if name in shell and os.environ.get(name) == value}
    return {**os.environ, **{name: shell[name] for name in overwritten}}


def get(name: str) -> str | None:
    """Return the value of a variable; None if it is not set, or empty."""
    return variables().get(name) or None


def origin(name: str) -> str:
    """Return where a variable that is set comes from: `.env` or the shell."""
    return FILE if name not in _shell() and written().get(name) == os.environ.get(name) else "the shell"


def kept() -> dict[str, str]:
    """Return a variable for a process that runs Dagster: it holds what `.env` would be written over."""
    values = variables()
    return {_KEPT: json.dumps({name: values[name] for name in written() if name in values})}


def settled() -> dict[str, str]:
    """Return a variable that makes os.environ count as it is, whatever the shell had and `.env` has."""
    return {_KEPT: _SETTLED}


def differing() -> list[str]:
    """Return the variables that the shell and `.env` both have, with different values; none where that is settled."""
    if os.environ.get(_KEPT) == _SETTLED:
        return []
    values = variables()
    return sorted(name for name, value in written().items() if name in values and values[name] != value)


def written() -> dict[str, str]:
    """Return the variables that `.env` sets, whatever the shell has."""
    if not Path(FILE).is_file():
        return {}
    try:
        text = Path(FILE).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(f"{FILE} has to be UTF-8 text: save it as such") from None
    except OSError as error:
        raise UnreadableFile(f"{FILE} can't be read: {error.strerror}") from None
    found = dotenv_values(stream=StringIO(_readable(text)))
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=1)
def _readable(text: str) -> str:
    """Return what python-dotenv understands of a file. A line of ours that it would leave out is an error.

    It goes on without such a line, and then columns that are to be blocked, for one, would not be.
    """
    readable = []
    for binding in parse_stream(StringIO(text)):
        line = f"{FILE}, line {binding.original.line}"
        if not binding.error:
            readable.append(binding.original.string)
        elif named := _OF_OURS.match(binding.original.string):
            raise UnreadableFile(
                f"{line}: {named[1]} can't be read. Put its value between single quotes, which it may not have itself: "
                f"""{named[1]}='{{"person": ["phone_number"]}}'"""
            )
        else:
            logging.getLogger(__name__).warning("%s can't be read, and is left out.", line)
    return "".join(readable)


def _shell() -> Mapping[str, str]:
    if _KEPT in os.environ:
        return dict(json.loads(os.environ[_KEPT]))
    return _at_start()


@cache
def _at_start() -> Mapping[str, str]:
    """Return the variables with which this process began, or the `dagster dev` that it is part of; Linux only."""
    process = "self"
    try:
        while True:
            folder = Path("/proc", process)
            pairs = [pair.partition(b"=") for pair in (folder / "environ").read_bytes().split(b"\0")]
            if _OF_DAGSTER_DEV not in (name for name, _, _ in pairs):
                return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name}
            process = (folder / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return {}
