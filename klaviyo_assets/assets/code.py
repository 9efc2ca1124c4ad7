"""What Dagster is told of the code behind an asset: where it is, and which version of it."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg

from klaviyo_assets.tables.registry import module_of
from klaviyo_assets.tables.table import Table


def of_table(table: Table) -> tuple[str, dict[str, Any]]:
    """Return the version of a table's code and metadata that refers to it.

    The version changes when the table's columns do, by the settings too, and when the module does that maps Klaviyo's
    answers to its rows; not with every release.
    """
    module = module_of(table.name)
    source = _source(module)
    columns = [table.primary_key, table.dynamic, *((column.name, column.type.value) for column in table.columns)]
    line = source.partition(f'name="{table.name}"')[0].count("\n") + 1
    return version_of(source, repr(columns)), references(Path(str(module.__file__)), line, f"{table.name}: its columns")


def version_of(*parts: str) -> str:
    """Return a version that changes with any of some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def references(file: Path, line: int, label: str) -> dict[str, Any]:
    """Return metadata that refers to a line of a file, as it is installed where the code location runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # it is in beta since 1.8
        found = dg.LocalFileCodeReference(file_path=str(file), line_number=line, label=label)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[found])}


@cache
def _source(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except OSError:  # only its bytecode is installed
        return ""
