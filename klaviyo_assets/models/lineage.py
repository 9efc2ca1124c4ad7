"""What each column of a model is made of, read from the SQL that dbt has run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

Table = tuple[str, str]
"""Schema and name of a table."""

Relation = tuple[str, str, str]
"""Database, schema and name of a table or view, in lower case."""

Origins = frozenset[tuple[Table, str]]
"""The columns of tables that a value is computed from; none if it is constant. What rows are joined or filtered by
does not count, nor that they are counted."""


def trace(
    selects: Sequence[tuple[str, str]], tables: Mapping[Table, Iterable[str]], dialect: str
) -> dict[str, dict[str, Origins]]:
    """Return relation -> column, in lower case -> what it is made of.

    selects: a relation's name, as the SQL has it, and the SELECT that made it, after those that it reads. tables: the
    columns of the tables that exist, in the database of the models; a relation that is not among them is a view,
    which is traced through. dialect: of the SQL. Raises whatever sqlglot raises if it can't follow the SQL.
    """
    import sqlglot  # a fifth of a second, for which nobody should wait who only loads the definitions
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

    caseless = sqlglot.Dialect.get_or_raise(f"{dialect}, normalization_strategy=case_insensitive")
    known: dict[Relation, dict[str, Origins]] = {}
    schema = MappingSchema(dialect=caseless, normalize=False)

    def add(relation: Relation, columns: dict[str, Origins]) -> None:
        known[relation] = columns
        database, name, table = relation
        schema.add_table(sqlglot.exp.table_(table, name, database), dict.fromkeys(columns, "text"), match_depth=False)

    made = {name: sqlglot.to_table(name, dialect=caseless) for name, _ in selects}
    places = {_lower("", *table)[1:] for table in tables}
    database = next((each.catalog for each in made.values() if (each.db.lower(), each.name.lower()) in places), "")
    for table, columns in tables.items():
        add(_lower(database, *table), {column.lower(): frozenset([(table, column)]) for column in columns})
    traced = {}
    for name, sql in selects:
        scope = build_scope(qualify(sqlglot.parse_one(sql, dialect=caseless), dialect=caseless, schema=schema))
        if scope is None:
            raise ValueError(f"{name} is not made by a query")
        traced[name] = _origins(scope, known)
        relation = _lower(made[name].catalog, made[name].db, made[name].name)
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
