"""The environment variables, by one rule: the shell wins over the file `.env` of the working directory.

The commands of this project read `.env` themselves (`load`). Dagster's commands read it as well, but write it over
what the shell has exported, and hand the result to the processes that they start. What the shell had is then looked up
where it still is: in a variable that `klaviyo-assets dev` leaves (`kept`), or, on Linux, in what the kernel knows of
how `dagster job execute` and `dagster dev` were started.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values

FILE = ".env"

_KEPT = "_KLAVIYO_ASSETS_SHELL"
_SETTLED = "{}"
_OF_DAGSTER_DEV = b"DAGSTER_IS_DEV_CLI"  # `dagster dev` sets it for all processes that it starts


def load() -> None:
    """Add to os.environ what `.env` has and the shell has not."""
    for name, value in _written().items():
        os.environ.setdefault(name, value)


def variables() -> Mapping[str, str]:
    """Return the variables of this process, those that Dagster has overwritten as the shell has them."""
    written = _written()
    if not written:
        return os.environ
    shell = _shell()
    overwritten = {name for name, value in written.items() if name in shell and os.environ.get(name) == value}
    return {**os.environ, **{name: shell[name] for name in overwritten}}


def get(name: str) -> str | None:
    """Return the value of a variable; None if it is not set, or empty."""
    return variables().get(name) or None


def origin(name: str) -> str:
    """Return where a variable that is set comes from: `.env` or the shell."""
    return FILE if name not in _shell() and _written().get(name) == os.environ.get(name) else "the shell"


def kept() -> dict[str, str]:
    """Return a variable for a process that runs Dagster: it holds what `.env` would be written over."""
    values = variables()
    return {_KEPT: json.dumps({name: values[name] for name in _written() if name in values})}


def settled() -> dict[str, str]:
    """Return a variable that makes os.environ count as it is, whatever the shell had and `.env` has."""
    return {_KEPT: _SETTLED}


def differing() -> list[str]:
    """Return the variables that the shell and `.env` both have, with different values; none where that is settled."""
    if os.environ.get(_KEPT) == _SETTLED:
        return []
    values = variables()
    return sorted(name for name, value in _written().items() if name in values and values[name] != value)


def _written() -> dict[str, str]:
    if not Path(FILE).is_file():
        return {}
    return {name: value for name, value in dotenv_values(FILE).items() if value is not None}


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
