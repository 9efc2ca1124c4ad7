"""What each column of a model is made of, read from the SQL that dbt has run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

Relation = tuple[str, str, str]
"""Database, schema and name of a table or view."""

Origins = frozenset[tuple[Relation, str]]
"""The columns of tables that a value is computed from; none if it is constant. What rows are joined or filtered by
does not count, nor that they are counted."""


def trace(
    selects: Iterable[tuple[str, str]], tables: Mapping[Relation, Iterable[str]], dialect: str
) -> dict[str, dict[str, Origins]]:
    """Return relation -> column, in lower case as DuckDB knows no case -> what it is made of.

    selects: a relation's quoted name and the SELECT that made it, after those that it reads. tables: the columns of
    the tables that exist; a relation that is not among them is a view, which is traced through. dialect: of the SQL.
    Raises whatever sqlglot raises if it can't follow the SQL.
    """
    import sqlglot  # a fifth of a second, for which nobody should wait who only loads the definitions
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

    known: dict[Relation, dict[str, Origins]] = {}
    schema = MappingSchema(dialect=dialect, normalize=False)

    def add(relation: Relation, columns: dict[str, Origins]) -> None:
        known[relation] = columns
        database, name, table = relation
        schema.add_table(sqlglot.exp.table_(table, name, database), dict.fromkeys(columns, "text"), match_depth=False)

    for table, columns in tables.items():
        add(_lower(*table), {column.lower(): frozenset([(table, column)]) for column in columns})
    traced = {}
    for name, sql in selects:
        scope = build_scope(qualify(sqlglot.parse_one(sql, dialect=dialect), dialect=dialect, schema=schema))
        if scope is None:
            raise ValueError(f"{name} is not made by a query")
        traced[name] = _origins(scope, known)
        target = sqlglot.to_table(name, dialect=dialect)
        relation = _lower(target.catalog, target.db, target.name)
        if relation not in known:
            add(relation, traced[name])
    return traced


def _origins(scope: Scope, known: Mapping[Relation, Mapping[str, Origins]]) -> dict[str, Origins]:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if isinstance(scope.expression, exp.SetOperation):
        first, second = (_origins(side, known) for side in scope.set_operation_scopes)
        pairs = zip(first.items(), second.values(), strict=True)
        return {name: left | right for (name, left), right in pairs}
    sources = {
        name: _origins(source, known)
        if isinstance(source, Scope)
        else known.get(_lower(source.catalog, source.db, source.name), {})
        for name, (_, source) in scope.selected_sources.items()
    }
    return {
        select.alias_or_name.lower(): Origins().union(
            *(sources.get(column.table, {}).get(column.name.lower(), ()) for column in select.find_all(exp.Column))
        )
        for select in scope.expression.expressions
    }


def _lower(database: str, schema: str, name: str) -> Relation:
    return database.lower(), schema.lower(), name.lower()
