"""Statements that BigQuery runs, and what its catalog says.

The catalog is asked by the API, which costs nothing: a query of INFORMATION_SCHEMA costs at least 10 MB. Tables are
changed outside of the transaction, in which BigQuery refuses it. So a transaction begins with the first change of rows,
in a session of its own, and from then on tables can't be changed.

https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator

from klaviyo_assets.warehouse.bigquery.connecting import APPLICATION, ERRORS, Client, exceptions
from klaviyo_assets.warehouse.bigquery.dialect import BigQueryDialect
from klaviyo_assets.warehouse.bigquery.text import fold, places, written
from klaviyo_assets.warehouse.bigquery.types import native
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote

TEMPORARY = "_temporary_"
"""Beginning of the names of tables that are only there while something is loaded."""

_ANSWER = 120.0
"""Seconds until a request counts as lost; one that starts a statement is answered after ten, done or not."""

_FIRST = bigquery.DEFAULT_RETRY.with_timeout(60.0)
"""Of the first request of a session: if there is no way to BigQuery, ten minutes, which are the default, are long."""

_CHANGES_ROWS = ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE")
_CHANGES_TABLES = ("CREATE", "ALTER", "DROP")
_PARAMETERS: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (dt.datetime, "TIMESTAMP"),
    (dt.date, "DATE"),
    (str, "STRING"),
)


class BigQueryCatalog(Session):
    """A client whose transaction begins with the first change of rows.

    schema: the warehouse's dataset. most_billed: bytes that a statement may cost, None: any.
    """

    dialect = BigQueryDialect()

    def __init__(
        self,
        client: Client,
        schema: str,
        *,
        most_billed: int | None = None,
    ) -> None:
        self.client = client
        self.schema = schema
        self.committing = False
        self.relations: dict[str, str] = {}
        self._most_billed = most_billed
        self._session_id: str | None = None
        self.location: str | None = client.location
        self._datasets: set[str] = set()
        self._relations: dict[str, dict[str, str]] = {}
        self._tables: dict[tuple[str, str], bigquery.Table] = {}

    # Statements

    @property
    def writing(self) -> bool:
        """Whether a transaction has begun."""
        return self._session_id is not None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> RowIterator:
        """Run one statement, in the transaction if it has begun, and wait until it is done."""
        kind = statement.lstrip().partition(" ")[0].upper()
        if self.writing and kind in _CHANGES_TABLES:
            raise AssertionError(f"can't be run within a transaction: {statement}")
        text = written(statement, tuple(value is None for value in parameters), places(self.relations))
        return self.send(text, [_parameter(value) for value in parameters if value is not None])

    def send(self, text: str, parameters: Sequence[Any] = ()) -> RowIterator:
        """Run one statement as BigQuery reads it.

        What fails in a transaction is not tried again: that has been undone, and the statement would be committed
        alone. Requests are: BigQuery knows them by their ids.
        """
        config = self._config(parameters)
        options: dict[str, Any] = {}
        if self._session_id:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", self._session_id)]
            options["job_retry"] = None
        return self.client.query_and_wait(
            text, job_config=config, location=self.location, api_timeout=_ANSWER, **options
        )  # fmt: skip

    def _config(self, parameters: Sequence[Any] = ()) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), labels={"application": APPLICATION})
        if self._most_billed is not None:
            config.maximum_bytes_billed = self._most_billed
        return config

    def begin(self) -> None:
        """Begin the transaction, if it has not begun."""
        if self.writing:
            return
        config = self._config()
        config.create_session = True
        job = self.client.query("SELECT 1", job_config=config, location=self.location)
        job.result()
        assert job.session_info  # noqa: S101
        self.location = self.location or job.location
        self._before_session(job.session_info.session_id)
        self._session_id = job.session_info.session_id
        self.send("BEGIN TRANSACTION")
        self._before_writing()

    def _before_session(self, session: str) -> None:
        """Do what comes before a transaction."""

    def _before_writing(self) -> None:
        """Do what comes first in a transaction."""

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        if statement.lstrip().upper().startswith(_CHANGES_ROWS):
            self.begin()
        return [row for part in _pages(self.execute(statement, parameters)) for row in part]

    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time."""
        yield from _pages(self.execute(query))

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""
        self.begin()
        return self.execute(statement, parameters).num_dml_affected_rows or 0

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        if self.writing:
            self.committing = True
            self.send("COMMIT TRANSACTION")
            self.committing = False
            self._end()

    def rollback(self) -> None:
        """Undo everything that was not committed, which the end of the session does, too."""
        if self.writing:
            with suppress(*ERRORS):  # after an error there may be no transaction any more
                self.send("ROLLBACK TRANSACTION")
            self._end()

    def _end(self) -> None:
        """End the session, which else would be there for a day: what goes wrong with that harms nobody."""
        try:
            with suppress(*ERRORS):
                self.send("CALL BQ.ABORT_SESSION()")
        finally:
            self._session_id = None

    def now(self) -> dt.datetime:
        """Return the service's time."""
        ((moment,),) = self.sql("SELECT CURRENT_TIMESTAMP()")
        return moment  # type: ignore[no-any-return]

    # The catalog

    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""
        return quote(schema, table)

    def reference(self, schema: str, table: str) -> bigquery.TableReference:
        """Return a table as the API calls it."""
        return bigquery.DatasetReference(self.client.project, schema).table(table)

    def locate(self, schema: str) -> bool:
        """Let statements run where a dataset is; return whether it is there."""
        if schema not in self._datasets:
            try:
                found = self.client.get_dataset(schema, retry=_FIRST, timeout=_ANSWER)
                self.location = found.location or self.location
            except exceptions.NotFound:
                return False
            self._datasets.add(schema)
        return True

    def create_schema(self, schema: str) -> None:
        """Create a schema if it is not there: only then is the right to do so needed."""
        if self.locate(schema):
            return
        dataset = bigquery.Dataset(f"{self.client.project}.{schema}")
        if self.location:
            dataset.location = self.location
        made = self.client.create_dataset(dataset, exists_ok=True)
        self.location = self.location or made.location
        self._datasets.add(schema)
        self._relations.pop(schema, None)

    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables. A name with capitals is another one than ours."""
        return {name for name, kind in self._listed(schema).items() if kind == "TABLE"}

    def views(self, schema: str) -> set[str]:
        """Return the names of what looks like a table in a schema, and can't be written."""
        return {name for name, kind in self._listed(schema).items() if kind != "TABLE"}

    def _listed(self, schema: str) -> dict[str, str]:
        if schema not in self._relations:
            try:
                found = {each.table_id: each.table_type for each in self.client.list_tables(schema, page_size=1000)}
            except exceptions.NotFound:
                return {}
            self._relations[schema] = {
                name: kind for name, kind in found.items() if name == fold(name) and not name.startswith(TEMPORARY)
            }
        return self._relations[schema]

    def described(self, schema: str, table: str) -> bigquery.Table | None:
        """Return what the API knows of a table, None if it is not there."""
        known = self._tables.get((schema, table))
        if known is None:
            try:
                known = self._tables[schema, table] = self.client.get_table(self.reference(schema, table))
            except exceptions.NotFound:
                return None
        return known

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> native type of a table, in order."""
        found = self.described(schema, table)
        return {fold(field.name): native(field) for field in found.schema} if found else {}

    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""
        return {table: self.columns(schema, table) for table in self.tables(schema)}

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that no row can have emptied: those that are required."""
        return {fold(field.name) for field in self._required(schema, table)}

    def needed(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that a new row must have a value for."""
        return {fold(field.name) for field in self._required(schema, table) if not field.default_value_expression}

    def _required(self, schema: str, table: str) -> list[bigquery.SchemaField]:
        found = self.described(schema, table)
        return [field for field in found.schema if field.mode == "REQUIRED"] if found else []

    def descriptions(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> description, of the columns that have one."""
        found = self.described(schema, table)
        return {fold(field.name): field.description for field in found.schema if field.description} if found else {}

    def changed(self, schema: str, table: str) -> None:
        """Forget what is known of a table."""
        self._tables.pop((schema, table), None)

    def appeared(self, schema: str, table: str) -> None:
        """Take note of a table that was made."""
        self._relations.setdefault(schema, {})[table] = "TABLE"
        self.changed(schema, table)


def _parameter(value: Any) -> Any:
    if not isinstance(value, tuple(kind for kind, _ in _PARAMETERS)):
        return value  # one of the API's own
    name = next(name for kind, name in _PARAMETERS if isinstance(value, kind))
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return bigquery.ScalarQueryParameter(None, name, value)


def _pages(rows: RowIterator) -> Iterator[list[tuple[Any, ...]]]:
    """Give rows with times in UTC without a zone, and JSON as text."""
    as_json = [field.field_type == "JSON" for field in rows.schema]
    for page in rows.pages:
        yield [
            tuple(
                _value(value, is_json=is_json) for value, is_json in zip(row.values(), as_json, strict=True)
            )
            for row in page
        ]  # fmt: skip


def _value(value: Any, *, is_json: bool) -> Any:
    if is_json and value is not None:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value
