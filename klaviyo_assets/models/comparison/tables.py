"""The relations that are compared, and what their columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from klaviyo_assets.models.comparison.matching import FIRST, Matching
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote

NUMBER, TIME, TEXT = "number", "time", "text"
ROWS = "_rows"
"""How many rows have a key."""

_AS = {NUMBER: "CAST({} AS DECIMAL(35, 6))", TIME: "CAST({} AS TIMESTAMP)", TEXT: "CAST({} AS VARCHAR)"}


@dataclass(frozen=True)
class Relation:
    """A model of one side. name: quoted. columns: in lower case -> what it is called and holds."""

    name: str
    columns: Mapping[str, tuple[str, str]]


def relation(session: Session, name: str) -> Relation:
    """Look at a relation. name: quoted."""
    schema = session.arrow(f"SELECT * FROM {name} WHERE 1 = 0").schema
    return Relation(name, {field.name.lower(): (field.name, _kind(field.type)) for field in schema})


def kind_of(column: str, theirs: Relation, ours: Relation) -> str:
    """Return as what a column of both sides is compared."""
    kinds = {side.columns[column][1] for side in (theirs, ours) if column in side.columns}
    return kinds.pop() if len(kinds) == 1 else TEXT


def key_name(number: int) -> str:
    """Return what a column of a key is called in `keyed`."""
    return f"_key_{number}"


def keyed(side: Relation, other: Relation, matching: Matching, key: tuple[str, ...]) -> str:
    """Return the query of a side's rows, one for each key, with all their columns as they are compared."""
    groups, chosen = [], []
    for number, column in enumerate(key):
        value = f"coalesce({_AS[TEXT].format(quote(side.columns[column][0]))}, '')"
        groups.append(f"lower({value})" if column == "email" else value)
        chosen.append(f"{groups[-1]} AS {key_name(number)}")
    for column, (name, _) in side.columns.items():
        kind = kind_of(column, side, other)
        value = _AS[kind].format(quote(name))
        together = "min" if FIRST.search(column) else "max"
        if kind == NUMBER and matching.adds_up:
            together = "sum"
        chosen.append(f"{together}({value}) AS {quote(column)}")
    return f"SELECT {', '.join(chosen)}, count(*) AS {ROWS} FROM {side.name} GROUP BY {', '.join(groups)}"


def _kind(native: pa.DataType) -> str:
    if pa.types.is_integer(native) or pa.types.is_floating(native) or pa.types.is_decimal(native):
        return NUMBER
    return TIME if pa.types.is_timestamp(native) else TEXT
