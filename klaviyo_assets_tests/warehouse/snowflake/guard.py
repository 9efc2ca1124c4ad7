"""What Snowflake refuses and its emulator takes: rules for statements, each with its source.

Every statement that a test's session sends is checked as it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp, parse
from sqlglot.errors import ParseError

DOCS = "https://docs.snowflake.com/en/"

_CHANGES_TABLES = (exp.Create, exp.Alter, exp.Drop, exp.Comment, exp.TruncateTable)
_UNKNOWN_TYPES = {"JSON", "JSONB", "UUID", "HUGEINT", "INT128", "INT256", "UBIGINT", "STRUCT", "INTERVAL", "BIT"}
_LONGEST_NAME = 255
_LONGEST_STATEMENT = 1_000_000
_MOST_IN_A_LIST = 16_384
_ROWS_OF_STATES = 250


def broken_rules(
    statement: str, *, in_transaction: bool = False, type_of: Callable[[str, str], str] = lambda table, column: ""
) -> list[str]:
    """Return which rules a statement breaks, in words. type_of: the type that a column has, by table and column."""
    if len(statement.encode()) > _LONGEST_STATEMENT:
        return [f"is longer than a megabyte: {DOCS}user-guide/query-size-limits"]
    try:
        (parsed,) = parse(statement, read="snowflake")
    except (ParseError, ValueError) as error:
        return [f"can't be read: {error}"]
    assert parsed
    if isinstance(parsed, exp.Command):
        return [f"is no statement that sqlglot knows: {parsed.this}"]
    return [
        *_changes_of_tables(parsed, in_transaction),
        *_alterations(parsed, type_of),
        *_names(parsed),
        *_merges(parsed),
        *_subqueries(parsed),
        *_expressions(parsed),
        *_inserts(parsed),
    ]


def _changes_of_tables(parsed: Any, in_transaction: bool) -> Iterator[str]:
    if in_transaction and isinstance(parsed, _CHANGES_TABLES):
        yield f"commits the transaction: {DOCS}sql-reference/transactions (DDL)"
    if isinstance(parsed, exp.Create) and parsed.expression and parsed.this.find(exp.ColumnConstraint):
        yield f"has constraints or defaults beside AS SELECT: {DOCS}sql-reference/sql/create-table (CTAS)"
    if isinstance(parsed, exp.Create) and parsed.kind in ("INDEX", "UNIQUE INDEX"):
        yield f"makes an index, which standard tables do not have: {DOCS}sql-reference/sql/create-index"


def _alterations(parsed: Any, type_of: Callable[[str, str], str]) -> Iterator[str]:
    """A type may only become longer: https://docs.snowflake.com/en/sql-reference/sql/alter-table-column"""
    for action in parsed.find_all(exp.AlterColumn):
        if not (target := action.args.get("dtype")):
            continue
        if action.args.get("using"):
            yield f"has USING, which ALTER COLUMN does not know: {DOCS}sql-reference/sql/alter-table-column"
        existing = exp.DataType.build(type_of(parsed.this.sql("snowflake"), action.this.name) or "VARIANT", "snowflake")
        (old, new) = ([int(number.name) for number in kind.expressions] for kind in (existing, target))
        same = _family(existing) == _family(target) and _family(target) in ("TEXT", "NUMBER")
        if not same or (new and (not old or new[0] < old[0] or new[1:] != old[1:])):
            yield f"changes {existing} to {target}: {DOCS}sql-reference/sql/alter-table-column"


def _family(kind: exp.DataType) -> str:
    if kind.is_type(*exp.DataType.TEXT_TYPES):
        return "TEXT"
    return "NUMBER" if kind.is_type("DECIMAL", "BIGINT", "INT") else str(kind.this)


def _names(parsed: Any) -> Iterator[str]:
    if any(len(name.name) > _LONGEST_NAME for name in parsed.find_all(exp.Identifier)):
        yield f"has a name of more than 255 characters: {DOCS}sql-reference/identifiers"


def _merges(parsed: Any) -> Iterator[str]:
    if isinstance(parsed, exp.Merge):
        target = parsed.this.name.upper()
        if any(table.name.upper() == target for table in parsed.args["using"].find_all(exp.Table)):
            yield f"merges a table into itself, of which rows match twice: {DOCS}sql-reference/sql/merge"


def _subqueries(parsed: Any) -> Iterator[str]:
    """https://docs.snowflake.com/en/user-guide/querying-subqueries"""
    source = f"{DOCS}user-guide/querying-subqueries"
    for query in parsed.find_all(exp.Select):
        if not _is_correlated(query):
            continue
        if isinstance(query.parent, exp.Exists):
            if not query.find_ancestor(exp.Where):
                yield f"has a correlated EXISTS outside of WHERE: {source}"
        elif isinstance(query.parent, exp.Subquery) and not isinstance(query.parent.parent, exp.From | exp.Join):
            single = len(query.expressions) == 1 and query.expressions[0].find(exp.AggFunc)
            if not single or query.args.get("group"):
                yield f"has a correlated scalar subquery without an aggregate: {source}"
        if query.args.get("limit"):
            yield f"has a LIMIT in a correlated subquery: {source}"


def _is_correlated(query: exp.Select) -> bool:
    within = {table.alias_or_name for table in query.find_all(exp.Table)}
    within |= {each.alias for each in query.find_all(exp.Subquery, exp.Lateral) if each.alias}
    outside = {column.table for column in query.find_all(exp.Column) if column.table} - within
    return bool(outside) and query.parent is not None and not isinstance(query.parent, exp.Create | exp.Insert)


def _expressions(parsed: Any) -> Iterator[str]:
    for filtered in parsed.find_all(exp.Filter):
        yield f"has FILTER, which no aggregate knows: {DOCS}sql-reference/functions-aggregation: {filtered.sql()}"
    if any(each.find(exp.Interval) for each in parsed.find_all(exp.Mul)):
        yield f"multiplies an INTERVAL: {DOCS}sql-reference/data-types-datetime#interval-constants"
    for pattern in parsed.find_all(exp.RegexpLike, exp.RegexpFullMatch):
        if any("(?" in text.name for text in pattern.find_all(exp.Literal)):
            yield f"has a group that is not captured, or looks around: {DOCS}sql-reference/functions-regexp"
    if any(not each.expressions for each in parsed.find_all(exp.Coalesce)):
        yield f"has a COALESCE of one value: {DOCS}sql-reference/functions/coalesce"
    for kind in parsed.find_all(exp.DataType):
        if (name := str(kind.this).rpartition(".")[2]) in _UNKNOWN_TYPES:
            yield f"has the type {name}: {DOCS}sql-reference/intro-summary-data-types"
    if any(len(each.expressions) > _MOST_IN_A_LIST for each in parsed.find_all(exp.In, exp.Values)):
        yield f"has a list of more than 16,384 values: {DOCS}user-guide/query-size-limits"
    if parsed.find(exp.Returning) or parsed.find(exp.OnConflict):
        yield f"has RETURNING or ON CONFLICT: {DOCS}sql-reference/sql/insert"


def _inserts(parsed: Any) -> Iterator[str]:
    """Rows come by COPY: https://docs.snowflake.com/en/user-guide/data-load-considerations-prepare"""
    if isinstance(parsed, exp.Insert) and isinstance(parsed.expression, exp.Values):
        table = parsed.this.find(exp.Table)
        if not table.name.startswith("_") or len(parsed.expression.expressions) > _ROWS_OF_STATES:
            yield f"inserts rows of {table.name} one by one: {DOCS}user-guide/data-load-considerations-prepare"


_allowed: set[tuple[str, bool]] = set()
"""Statements that break no rule: most come again and again."""


class GuardedConnection:
    """A connection that sends no statement that Snowflake would refuse."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._in_transaction = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self, *given: Any) -> Any:
        return GuardedCursor(self, self._connection.cursor(*given))

    def check(self, statement: str) -> None:
        """Raise AssertionError if a statement breaks a rule."""
        if (statement, self._in_transaction) not in _allowed:
            broken = broken_rules(statement, in_transaction=self._in_transaction, type_of=self._type_of)
            assert not broken, f"{statement}\n{'; '.join(broken)}"
            if not statement.startswith("ALTER"):  # of which the types of columns decide
                _allowed.add((statement, self._in_transaction))
        first = statement.split(None, 1)[0].upper()
        if first in ("BEGIN", "COMMIT", "ROLLBACK"):
            self._in_transaction = first == "BEGIN"

    def _type_of(self, table: str, column: str) -> str:
        found = self._connection.cursor().execute(f"DESCRIBE TABLE {table}").fetchall()
        return next(row[1] for row in found if row[0] == column)


class GuardedCursor:
    """A cursor of a `GuardedConnection`."""

    def __init__(self, connection: GuardedConnection, cursor: Any) -> None:
        self._guard = connection
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, statement: str, parameters: Any = None) -> Any:
        """Check a statement, and send it."""
        self._guard.check(statement)
        self._cursor.execute(statement, parameters)
        return self
