"""What the dbt project holds, read from its files: loading a code location can't wait the seconds that dbt needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent / "dbt"
"""The folder of the dbt project."""

PROJECT_NAME = "klaviyo_models"

SHOPIFY = "shopify"
"""Name of the dbt source, and of the folder of the models that need it."""

MARTS = "marts"
"""Name of the folder of the models that analysts begin with."""

MARTS_VARIABLE = "klaviyo__marts"
"""The variable that leaves them out."""

TOLERANCE_VARIABLE = "klaviyo__unexplained_tolerance"
"""The variable with the share of a statistic that may be unexplained."""

_REF = re.compile(r"\bref\('(\w+)'\)")
_SOURCE = re.compile(r"\bsource_rows\('(\w+)', '(\w+)'")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Model:
    """A dbt model that is a table.

    columns: name -> description. file: of its SQL. reads: other such models. sources: (dbt source, table), through
    views too. checks: names of tests.
    """

    name: str
    group: str
    description: str
    columns: Mapping[str, str]
    file: Path
    sql: str
    reads: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    checks: tuple[str, ...]


def is_installed(kind: str = "duckdb") -> bool:
    """Return whether the models can be built in a kind of database, without importing anything."""
    try:
        return all(distribution(name) for name in ("dbt-core", f"dbt-{kind}", "altair", "vl-convert-python"))
    except PackageNotFoundError:
        return False


def extra_of(kind: str) -> str:
    """Return the extra of the package that builds the models in a kind of database."""
    return "models" if kind == "duckdb" else f"models-{kind}"


@cache
def read_variables() -> Mapping[str, Any]:
    """Return the variables of the dbt project, with their defaults."""
    return dict(yaml.load((PROJECT / "dbt_project.yml").read_text(), _LOADER)["vars"])  # noqa: S506  (a safe loader)


def variables_with(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variables of the dbt project: those given, the others with their defaults."""
    return {**read_variables(), **given}


@cache
def staging_names() -> tuple[str, ...]:
    """Return the names of the views that the models read through, which are gone when a build ends."""
    return tuple(sorted(path.stem for path in PROJECT.glob("models/**/staging/*.sql")))


@cache
def read_project() -> tuple[Model, ...]:
    """Return the models of the dbt project that are tables."""
    files = {path.stem: path for path in PROJECT.glob("models/**/*.sql")}
    sql = {name: path.read_text() for name, path in files.items()}
    views = set(staging_names())

    def refs(name: str) -> set[str]:
        """What a model reads, itself or through views."""
        direct = set(_REF.findall(sql[name]))
        return direct.union(*(refs(view) for view in direct & views))

    models = []
    for properties in sorted(PROJECT.glob("models/**/*.yml")):
        for entry in yaml.load(properties.read_text(), _LOADER).get("models", ()):  # noqa: S506  (a safe loader)
            name = entry["name"]
            if name in views:
                continue
            found = refs(name)
            sources = {source for view in (found & views) | {name} for source in _SOURCE.findall(sql[view])}
            models.append(
                Model(
                    name=name,
                    group=properties.parent.name,
                    description=entry["description"].strip(),
                    columns={column["name"]: column["description"].strip() for column in entry.get("columns", ())},
                    file=files[name],
                    sql=sql[name],
                    reads=tuple(sorted(found - views)),
                    sources=tuple(sorted(sources)),
                    checks=tuple(_check_names(entry)),
                )
            )
    return tuple(models)


def _check_names(entry: Mapping[str, Any]) -> Iterator[str]:
    for owner in (entry, *entry.get("columns", ())):
        for test in owner.get("data_tests", ()):
            (arguments,) = test.values()
            yield arguments["name"]
