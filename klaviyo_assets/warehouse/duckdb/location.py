"""Where a database is: in a file of this machine, or at MotherDuck."""

from __future__ import annotations

import re
from pathlib import Path

_TOKEN = re.compile(r"(token=)[^&\s'\"]*", re.IGNORECASE)
_IN_MEMORY = ":memory:"
_NO_FILE = ("md:", "motherduck:", _IN_MEMORY)


def file_of(database: str) -> Path | None:
    """Return the absolute path of a database's file, without `~`, `..` and links; None if it is in no file.

    Only `md:name` and `motherduck:name` are MotherDuck's: a colon may be part of a file's name, as of Windows' drives.
    """
    if database.lower().startswith(_NO_FILE):
        return None
    return Path(database).expanduser().resolve()


def is_in_memory(database: str) -> bool:
    """Return whether an address is that of a database in no file, which goes with the process that made it."""
    return database.strip().lower() in ("", ":default:") or database.strip().lower().startswith(_IN_MEMORY)


def located(database: str) -> str:
    """Return an address that is the same in every folder: the absolute path of a file, MotherDuck's as it is."""
    file = file_of(database)
    return database if file is None else str(file)


def shown(database: str) -> str:
    """Return an address as it may be told: without the token that MotherDuck's may hold."""
    return _TOKEN.sub(r"\1***", database)
