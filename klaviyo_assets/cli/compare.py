"""`klaviyo-assets compare-models`: our models beside those of Fivetran's dbt packages, before dashboards read ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from klaviyo_assets.text import clean

if TYPE_CHECKING:
    from klaviyo_assets.models.comparison.compare import Comparison, Difference, Example, Sides
    from klaviyo_assets.settings import Settings
    from klaviyo_assets.warehouse.session import Session
    from klaviyo_assets.warehouse.warehouse import Warehouse

_ATTACHED = "fivetran_models"
"""What the file of theirs is called, as long as it is looked at."""

_SIDES = {"theirs": "the package", "ours": "ours"}


@click.command("compare-models")
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    required=True,
    help="Schema that a package has built its models in, such as analytics_klaviyo; may be given several times.",
)
@click.option(
    "--database",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="On DuckDB: the file that they are in.  [default: the warehouse]",
)
@click.option(
    "--examples", type=click.IntRange(0, 100), default=3, show_default=True, help="Rows to show of each difference."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare_models(schemas: tuple[str, ...], database: Path | None, examples: int, as_json: bool) -> None:
    """Compare our models with those of Fivetran's dbt packages, built of the same tables; change nothing.

    Says of each model which columns and rows one side has alone, how many rows differ in each column, and why, if that
    is by design: see docs/models.md. Ends with 0 if all differences are, 1 if one is unexpected.
    """
    import duckdb

    from klaviyo_assets.assets.warehouses import warehouse_of
    from klaviyo_assets.models.comparison.compare import NotComparable, compare
    from klaviyo_assets.settings import Settings
    from klaviyo_assets.warehouse.errors import WarehouseError

    settings = Settings()
    try:
        warehouse = warehouse_of(settings)
        if not warehouse.exists():
            raise click.ClickException(f"{warehouse.place} is not there yet: `klaviyo-assets sync` fills it.")
        with _session(warehouse, database) as session:
            sides = _sides(session, settings, schemas, attached=database is not None)
            found = []
            for comparison in compare(session, sides, examples=examples):
                found.append(comparison)
                if not as_json:
                    _print(comparison)
    except (WarehouseError, NotComparable) as error:
        raise click.ClickException(str(error)) from None
    except duckdb.Error as error:
        raise click.ClickException(f"A model can't be read: {_reason(error)}") from None
    unexpected = [comparison.model for comparison in found if not comparison.is_as_expected]
    if as_json:
        click.echo(json.dumps([_as_dict(comparison) for comparison in found], indent=2, default=str))
    elif unexpected:
        click.echo(f"Unexpected differences in {', '.join(unexpected)}.")
    else:
        click.echo("All differences are by design: docs/models.md says why.")
    sys.exit(1 if unexpected else 0)


def _reason(error: Exception) -> str:
    return clean(str(error).partition("\n")[0])


@contextmanager
def _session(warehouse: Warehouse, database: Path | None) -> Iterator[Session]:
    """Open the warehouse, with the file of theirs beside it."""
    import duckdb

    from klaviyo_assets.warehouse.duckdb.location import file_of
    from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
    from klaviyo_assets.warehouse.sql import literal

    if database:
        if not isinstance(warehouse, DuckDBWarehouse):
            raise click.UsageError(
                "--database is for DuckDB files: elsewhere the schemas are in the warehouse's database."
            )
        file = file_of(warehouse.database)
        if file and file.exists() and database.samefile(file):
            raise click.UsageError(f"--database {database} is the warehouse itself: leave it out.")
    with warehouse.session(writes=False) as session:
        if database:
            try:
                session.sql(f"ATTACH {literal(str(database))} AS {_ATTACHED} (READ_ONLY)")
            except duckdb.Error as error:
                raise click.ClickException(f"--database {database} can't be opened: {_reason(error)}") from None
        try:
            yield session
        finally:
            if database:
                session.sql(f"DETACH {_ATTACHED}")


def _sides(session: Session, settings: Settings, schemas: tuple[str, ...], *, attached: bool) -> Sides:
    """Find the models of both sides, and the tables that they were made of.

    Raises click.ClickException if none of theirs is there, or a schema is that of ours.
    """
    from klaviyo_assets.models.assets import dbt_variables, models_schema
    from klaviyo_assets.models.comparison.compare import Sides
    from klaviyo_assets.models.comparison.matching import MATCHINGS
    from klaviyo_assets.models.comparison.reasons import READ
    from klaviyo_assets.warehouse.sql import quote

    def present(schema: str) -> set[str]:
        return session.tables(schema) | session.views(schema)

    own, tables = models_schema(settings), {}
    if own in schemas and not attached:
        raise click.ClickException(f"{own} has our models: --schema names where dbt has built those of the packages.")
    theirs: dict[str, str] = {}
    for schema in schemas:
        if attached:
            rows = session.sql(
                "SELECT lower(table_name) FROM information_schema.tables "
                "WHERE table_catalog = ? AND lower(table_schema) = lower(?)",
                [_ATTACHED, schema],
            )
            names = {name: quote(_ATTACHED, schema, name) for (name,) in rows}
        else:
            names = {name.lower(): session.name(schema, name) for name in present(schema)}
        theirs = {model: names[model] for model in MATCHINGS if model in names} | theirs
    if not theirs:
        raise click.ClickException(
            f"No model of Fivetran's packages is in {' or '.join(schemas)}: --schema names where dbt has built them, "
            "such as <schema of the profile>_klaviyo."
        )
    for table, needed in READ.items():
        schema = settings.schema_name if table == "event" else settings.shopify_schema
        if schema and table in session.tables(schema) and {*needed} <= session.columns(schema, table).keys():
            tables[table] = session.name(schema, table)
    return Sides(
        theirs=theirs,
        ours={model: session.name(own, model) for model in MATCHINGS if model in present(own)},
        tables=tables,
        sessions=dbt_variables(settings).get("using_native_attribution") is False,
    )


def _print(found: Comparison) -> None:
    rows = {side: f"{number:,} rows" if number is not None else "not there" for side, number in found.rows.items()}
    click.echo(f"{found.model}: {rows['ours']}, the package {rows['theirs']}")
    if found.rows["theirs"] is None:
        click.echo("  not compared")
    elif found.rows["ours"] is None:
        click.echo("  UNEXPECTED  ours is not there: `klaviyo-assets models` builds it")
    for side, columns in found.columns_only.items():
        if columns:
            mark = "UNEXPECTED" if side == "theirs" else "more"
            click.echo(f"  {mark:<10}  columns that only {_SIDES[side]} has: {', '.join(columns)}")
    for side, number in found.doubled.items():
        mark = "UNEXPECTED" if side == "ours" else "doubled"
        click.echo(f"  {mark:<10}  {number:,} rows of {_SIDES[side]} have the key of another one")
    differences = {
        **{f"rows that only {_SIDES[side]} has": difference for side, difference in found.rows_only.items()},
        **found.columns,
    }
    for what, difference in differences.items():
        if difference.unexpected:
            click.echo(f"  UNEXPECTED  {clean(what)}: {difference.unexpected:,} rows")
            for example in difference.examples:
                click.echo(clean(f"                {_example(example)}"))
    reasons = dict.fromkeys(reason for difference in differences.values() for reason in difference.explained)
    for reason in reasons:
        some = {what: each for what, each in differences.items() if reason in each.explained}
        columns = ", ".join(f"{what} ({each.explained[reason]:,})" for what, each in some.items())
        click.echo(f"  by design   {reason}: {clean(columns)}")
    click.echo()


def _example(example: Example) -> str:
    key = ", ".join(f"{name} {value or 'NULL'}" for name, value in example.key.items())
    return key if example.alone else f"{key}: {_shown(example.theirs)}, ours {_shown(example.ours)}"


def _shown(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    if "." in text and text.replace(".", "").lstrip("-").isdigit():
        text = text.rstrip("0").rstrip(".")
    return text if len(text) <= 80 else f"{text[:79]}…"


def _as_dict(found: Comparison) -> Mapping[str, Any]:
    def told(difference: Difference) -> dict[str, Any]:
        return {**asdict(difference), "unexpected": difference.unexpected}

    return {
        **asdict(found),
        "rows_only": {side: told(difference) for side, difference in found.rows_only.items()},
        "columns": {column: told(difference) for column, difference in found.columns.items()},
        "as_expected": found.is_as_expected,
    }
