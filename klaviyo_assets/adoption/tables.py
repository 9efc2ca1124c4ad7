"""How a table that another connector has filled differs from the one that a sync makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from klaviyo_assets.adoption.findings import Finding, Kind
from klaviyo_assets.privacy.packing import PACKED
from klaviyo_assets.schema.spec import DELETED, SYNCED, SYSTEM_COLUMNS, TableSpec
from klaviyo_assets.warehouse.results import SchemaSurvey, TableSurvey
from klaviyo_assets.warehouse.sql import quote

HISTORY_MODE = ("_fivetran_active", "_fivetran_start", "_fivetran_end")
"""System columns of tables that keep every version of a row (Fivetran's documentation of history mode)."""

_MOST_NAMED = 12


def compare(spec: TableSpec, schema: str, survey: SchemaSurvey, *, packed: bool) -> list[Finding]:
    """Return what differs. schema: its name. packed: whether the settings have properties packed."""
    found = survey.tables.get(spec.name)
    if found is None:
        return [_missing(spec, schema, survey)]
    said = [*_names(spec, schema, found), *_rows(spec, found), *_types(spec, found), *_columns(spec, found, packed)]
    return [Finding(kind, spec.name, text) for kind, text in said]


def _missing(spec: TableSpec, schema: str, survey: SchemaSurvey) -> Finding:
    if spec.name in survey.views:
        text = f"is a view. A sync writes tables: rename it, or choose another `schema`. ({quote(schema, spec.name)})"
        return Finding(Kind.PROBLEM, spec.name, text)
    if other := _alike(survey.names).get(_bare(spec.name)):
        statement = f"ALTER TABLE {quote(schema, other)} RENAME TO {quote(spec.name)}"
        return Finding(Kind.PROBLEM, spec.name, f"is called {other} here. Rename it: {statement};")
    return Finding(Kind.LATER, spec.name, "is not here: the first sync makes it.")


def _names(spec: TableSpec, schema: str, found: TableSurvey) -> Iterator[tuple[Kind, str]]:
    declared = {*spec.types, *(column.name for column in SYSTEM_COLUMNS)}
    alike = _alike(name for name in found.types if name not in declared)
    for name in declared - found.types.keys():
        if other := alike.get(_bare(name)):
            statement = f"ALTER TABLE {quote(schema, spec.name)} RENAME COLUMN {quote(other)} TO {quote(name)}"
            yield Kind.PROBLEM, f"has {other} in place of {name}. Rename it: {statement};"
    if versions := [name for name in HISTORY_MODE if name in found.types]:
        yield (
            Kind.PROBLEM,
            f"is in history mode ({', '.join(versions)}): it has a row for each version. Switch it back to soft "
            "deletes, or rename it and have it imported anew.",
        )
    elif lacking := [name for name in spec.primary_key if name not in found.types and _bare(name) not in alike]:
        yield Kind.PROBLEM, f"has no {' and no '.join(lacking)}, by which rows are found: rename it."


def _rows(spec: TableSpec, found: TableSurvey) -> Iterator[tuple[Kind, str]]:
    key = ", ".join(spec.primary_key)
    if found.duplicates:
        yield Kind.PROBLEM, f"has {found.duplicates:,} keys ({key}) that several rows have. Delete all but one of each."
    if found.without_key:
        yield Kind.PROBLEM, f"has {found.without_key:,} rows without a key ({key}). Delete them."
    if found.needed:
        yield (
            Kind.PROBLEM,
            f"has {_some(sorted(found.needed))}, which may not be NULL and which nothing writes: new rows would be "
            "refused. Give it a DEFAULT, or drop the constraint.",
        )
    if found.deleted:
        yield Kind.KEPT, f"has {found.deleted:,} rows that are flagged as deleted, and stay so unless they come back."


def _types(spec: TableSpec, found: TableSurvey) -> Iterator[tuple[Kind, str]]:
    for name, other in found.others.items():
        if other.wrong:
            text = f"{name} is {other.native}, and has values that are no {other.declared}. Correct its type."
            yield Kind.PROBLEM, text
        elif other.altered:
            why = "it is compared with what comes" if name in (SYNCED.name, DELETED.name) else "rows are found by it"
            yield Kind.ALTERED, f"{name} is {other.native} and becomes {other.declared}: {why}."


def kept_types(survey: SchemaSurvey) -> Iterator[Finding]:
    """Yield the types that stay, each with the columns of all tables that have it."""
    kept: dict[tuple[str, str], list[str]] = {}
    for table, found in survey.tables.items():
        for name, other in found.others.items():
            if not other.altered:
                kept.setdefault((other.native, other.declared), []).append(f"{table}.{name}")
    for (native, declared), names in kept.items():
        text = f"{native} stays, where a sync would make {declared}, as long as it holds what comes: {_some(names)}."
        yield Finding(Kind.KEPT, None, text)


def _columns(spec: TableSpec, found: TableSurvey, packed: bool) -> Iterator[tuple[Kind, str]]:
    alike = _alike(name for name in found.types if name not in spec.types)
    system = [column.name for column in SYSTEM_COLUMNS if column.name not in found.types]
    if system := [name for name in system if _bare(name) not in alike]:
        yield Kind.ALTERED, f"has no {' and no '.join(system)}: added, and empty, which means live."
    packing = PACKED.get(spec.name)
    lacking = [name for name in spec.types if name not in found.types and _bare(name) not in alike]
    if packing and packed and packing.column in lacking:
        lacking.remove(packing.column)
        yield (
            Kind.CHOICE,
            f"has no {packing.column}: its properties are columns, and the setting `packing: packed` would leave "
            "these as they are and pack what comes. Leave the setting away to go on with columns.",
        )
    elif packing and not packed and packing.column in found.types:
        yield (
            Kind.CHOICE,
            f"has its properties in {packing.column}: set `packing: packed` to go on so. Without it {packing.column} "
            "stays as it is, and what comes gets columns.",
        )
    lacking = [name for name in lacking if name not in spec.primary_key]
    if lacking:
        yield (
            Kind.CHOICE,
            f"has no {_some(lacking)}: added, and filled with what comes. What was blocked there, and is to stay out, "
            "belongs into the setting `blocked_columns`.",
        )
    known = {*spec.types, *(column.name for column in SYSTEM_COLUMNS), *HISTORY_MODE}
    others = [name for name in found.types if name not in known]
    if spec.dynamic and (properties := [name for name in others if name.startswith(spec.dynamic)]):
        others = [name for name in others if name not in properties]
        yield (
            Kind.KEPT,
            f"has {len(properties):,} columns of properties, which are filled on. One of your own among them is "
            f"emptied as rows come: give it a name that does not begin with {spec.dynamic}.",
        )
    others = [name for name in others if not (packing and name == packing.column)]
    declared = _alike(spec.types)
    if others := [name for name in others if _bare(name) not in declared]:
        yield Kind.KEPT, f"has {_some(others)}, which nothing writes from now on."


def _bare(name: str) -> str:
    """Return what a name has in common with its form in capitals, and in the source's spelling (`personId`)."""
    return name.replace("_", "").lower()


def _alike(names: Iterable[str]) -> Mapping[str, str]:
    return {_bare(name): name for name in names}


def _some(names: Collection[str]) -> str:
    named = list(names)[:_MOST_NAMED]
    more = len(names) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
