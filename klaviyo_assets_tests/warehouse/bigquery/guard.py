"""What BigQuery refuses and its emulator takes: rules for statements, each with its source.

Every statement that a test's session sends is checked as it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlglot import exp, parse
from sqlglot.errors import ParseError, TokenError

DOCS = "https://cloud.google.com/bigquery/docs/"
SQL = f"{DOCS}reference/standard-sql/"
QUOTAS = "https://cloud.google.com/bigquery/quotas"

_CHANGES_TABLES = (exp.Create, exp.Alter, exp.Drop)
_CONTROL = re.compile(r"(?:BEGIN|COMMIT|ROLLBACK) TRANSACTION|CALL BQ\.ABORT_SESSION\((?:'[\w+/=-]*')?\)")
_LONGEST_NAME = 300
_LONGEST_STATEMENT = 1024 * 1024
_MOST_PARAMETERS = 10_000
_ROWS_OF_STATES = 250
_MOST_CLUSTERED = 4
_NAME = re.compile(r"[\w &%=+:'<>#|-]+")
_RESERVED_PREFIXES = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier")
_WORDS = re.compile(r"`[^`]*`|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b[A-Za-z_]\w*\b|\?")
_ALIAS = re.compile(r"\bAS\s+(\w+)|\b(\w+)\.`", re.IGNORECASE)
_RESERVED = set(
    re.findall(
        r"\w+",
        """all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube
        current default define desc distinct else end enum escape except exclude exists extract false fetch following
        for from full group grouping groups hash having if ignore in inner intersect interval into is join lateral left
        like limit lookup merge natural new no not null nulls of on or order outer over partition preceding proto
        qualify range recursive respect right rollup rows select set some struct tablesample then to treat true
        unbounded union unnest using when where window with within""",
    )
)
_UNKNOWN_TYPES = re.compile(r"\bAS\s+(VARCHAR|DOUBLE|REAL|TIMESTAMPTZ|JSONB|HUGEINT|UUID)\s*[()]", re.IGNORECASE)
_ALTERED = {
    "INT64": {"NUMERIC", "BIGNUMERIC", "FLOAT64"},
    "NUMERIC": {"BIGNUMERIC", "FLOAT64"},
    "STRING": {"STRING"},
}
_TYPE_CHANGE = re.compile(r"ALTER COLUMN (?:IF EXISTS )?`([^`]+)` SET DATA TYPE (\w+)(\([\d,]+\))?", re.IGNORECASE)


def broken_rules(statement: str, *, in_transaction: bool = False, types: dict[str, str] | None = None) -> list[str]:
    """Return which rules a statement breaks, in words. types: column -> type, of the table that is altered."""
    if _CONTROL.fullmatch(statement):
        return []
    if len(statement.encode()) > _LONGEST_STATEMENT:
        return [f"is longer than a megabyte: {QUOTAS}#query_jobs"]
    try:
        (parsed,) = parse(statement, read="bigquery")
    except (ParseError, TokenError, ValueError) as error:
        return [f"can't be read, or is more than one: {error}"]
    assert parsed
    if isinstance(parsed, exp.Command):
        return [f"is no statement that sqlglot knows: {parsed.this}"]
    return [
        *_words(statement),
        *_changes_of_tables(parsed, statement, in_transaction),
        *_alterations(statement, types or {}),
        *_names(parsed),
        *_changes_of_rows(parsed),
        *_expressions(parsed, statement),
    ]


def _words(statement: str) -> Iterator[str]:
    """The text itself: sqlglot reads more than BigQuery does."""
    tokens = _WORDS.findall(statement)
    if '"' in _without_texts(statement):
        yield f"has a name in double quotes, which is a text there: {SQL}lexical#string_and_bytes_literals"
    bare = _without_texts(statement)
    for found in _ALIAS.finditer(bare):
        if (word := (found[1] or found[2] or "").lower()) in _RESERVED - {"struct", "select", "with"}:
            yield f"has the reserved word {word} for a name: {SQL}lexical#reserved_keywords"
    if found := _UNKNOWN_TYPES.search(bare):
        yield f"has the type {found[1]}: {SQL}data-types"
    if tokens.count("?") > _MOST_PARAMETERS:
        yield f"has more than 10,000 parameters: {QUOTAS}#query_jobs"


def _without_texts(statement: str) -> str:
    return re.sub(r"`[^`]*`|'(?:[^'\\]|\\.)*'", lambda found: "`x`" if found[0][0] == "`" else "'x'", statement)


def _changes_of_tables(parsed: Any, statement: str, in_transaction: bool) -> Iterator[str]:
    temporary = isinstance(parsed, exp.Create) and parsed.find(exp.TemporaryProperty)
    if in_transaction and isinstance(parsed, _CHANGES_TABLES) and not temporary:
        yield f"changes a table within a transaction: {DOCS}transactions#statements_supported_in_transactions"
    if isinstance(parsed, exp.Create):
        if parsed.kind == "INDEX" or parsed.find(exp.UniqueColumnConstraint):
            yield f"has an index or a unique constraint: {SQL}data-definition-language"
        by = re.search(r"\bCLUSTER BY ((?:`[^`]+`(?:, )?)+)", statement)
        if by and by[1].count("`") // 2 > _MOST_CLUSTERED:
            yield f"is clustered by more than four columns: {DOCS}creating-clustered-tables#limitations"
        if (parts := re.search(r"\bPARTITION BY ([^ ]+ ?[^ ]*)", statement)) and not re.match(
            r"(?:TIMESTAMP_TRUNC|DATETIME_TRUNC|DATE_TRUNC|DATE|RANGE_BUCKET)\(|`|_PARTITION", parts[1]
        ):
            yield f"has partitions of {parts[1]}: {SQL}data-definition-language#partition_expression"


def _alterations(statement: str, types: dict[str, str]) -> Iterator[str]:
    source = f"{SQL}data-definition-language#alter_column_set_data_type_statement"
    for name, target, numbers in _TYPE_CHANGE.findall(statement):
        existing, _, before = types.get(name.lower(), "?").partition("(")
        if target.upper() not in _ALTERED.get(existing, set()):
            yield f"changes {existing} to {target}: {source}"
        elif target.upper() == "STRING" and numbers and not before:
            yield f"makes {name} shorter: {source}"
    if re.match(r"\s*ALTER TABLE\b.*\bUSING\b", _without_texts(statement), re.IGNORECASE | re.DOTALL):
        yield f"has USING: {source}"


def _names(parsed: Any) -> Iterator[str]:
    for name in {identifier.name for identifier in parsed.find_all(exp.Identifier)}:
        if len(name) > _LONGEST_NAME:
            yield f"has a name of more than 300 characters: {DOCS}schemas#column_names"
    if isinstance(parsed, exp.Create | exp.Alter):
        for column in parsed.find_all(exp.ColumnDef):
            if column.name.lower().startswith(_RESERVED_PREFIXES):
                yield f"has a column {column.name}: {DOCS}schemas#column_names"


def _changes_of_rows(parsed: Any) -> Iterator[str]:
    if isinstance(parsed, exp.Delete | exp.Update) and not parsed.args.get("where"):
        yield f"has no WHERE: {SQL}dml-syntax"
    if isinstance(parsed, exp.Delete) and parsed.args.get("using"):
        yield f"has DELETE USING: {SQL}dml-syntax#delete_statement"
    if parsed.find(exp.Returning) or parsed.find(exp.OnConflict):
        yield f"has RETURNING or ON CONFLICT: {SQL}dml-syntax#insert_statement"
    if isinstance(parsed, exp.Insert) and isinstance(parsed.expression, exp.Values):
        table = parsed.this.find(exp.Table)
        if not table.name.startswith("_") or len(parsed.expression.expressions) > _ROWS_OF_STATES:
            source = f"{DOCS}best-practices-performance-compute#avoid_single-row_dml"
            yield f"inserts rows of {table.name} one by one: {source}"
    if isinstance(parsed, exp.Merge):
        yield f"merges, where a row may match once, and partitions may not be chosen: {SQL}dml-syntax#merge_statement"


def _expressions(parsed: Any, statement: str) -> Iterator[str]:
    for filtered in parsed.find_all(exp.Filter):
        yield f"has FILTER, which no aggregate knows: {SQL}aggregate-function-calls: {filtered.sql()}"
    for query in parsed.find_all(exp.Select):
        if query.args.get("where") and not query.args.get("from_") and not query.args.get("from"):
            yield f"has WHERE without FROM: {SQL}query-syntax#where_clause"
        if _is_correlated(query) and (query.args.get("limit") or not _has_equality(query)):
            yield f"has a correlated subquery that is no join by equality: {SQL}subqueries#correlated_subquery_concepts"
    if parsed.find(exp.Cast) and re.search(r"\(JSON_\w+\([^()]*\) AS STRING\)", statement):
        yield f"casts JSON: {SQL}conversion_functions#cast"
    if (
        any(table.name.upper() == "COLUMNS" for table in parsed.find_all(exp.Table))
        or "INFORMATION_SCHEMA" in statement
    ):
        yield f"asks INFORMATION_SCHEMA, which costs 10 MB: {DOCS}information-schema-intro#pricing"


def _is_correlated(query: exp.Select) -> bool:
    if query.parent is None or isinstance(query.parent, exp.Create | exp.Insert):
        return False
    within = {table.alias_or_name for table in query.find_all(exp.Table)}
    within |= {each.alias for each in query.find_all(exp.Subquery, exp.Unnest) if each.alias}
    return bool({column.table for column in query.find_all(exp.Column) if column.table} - within)


def _has_equality(query: exp.Select) -> bool:
    where = query.args.get("where")
    return bool(where and where.find(exp.EQ))


class GuardedSession:
    """Checks what a session sends, and notes it in `sent`."""

    def __init__(self, session: Any, sent: list[tuple[str, tuple[Any, ...]]]) -> None:
        self.sent = sent
        self._session = session
        self._send = session.send
        session.send = self.send

    def send(self, text: str, parameters: Any = ()) -> Any:
        """Check a statement, and send it."""
        broken = broken_rules(text, in_transaction=self._session.writing, types=self._types(text))
        assert not broken, f"{text}\n{'; '.join(broken)}"
        self.sent.append((text, tuple(parameters)))
        return self._send(text, parameters)

    def _types(self, text: str) -> dict[str, str]:
        found = re.match(r"ALTER TABLE `([^`]+)`\.`([^`]+)`", text)
        if not found:
            return {}
        types: dict[str, str] = self._session.columns(found[1], found[2])
        return types
