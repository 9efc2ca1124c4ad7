"""The campaign report: one HTML page that needs nothing else, also as asset metadata."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.assets.described import DescribedAssets
from klaviyo_assets.assets.specs import group_name, io_manager_key
from klaviyo_assets.models.figures import Figures, read_figures
from klaviyo_assets.models.svg import NotDrawn
from klaviyo_assets.settings import Settings
from klaviyo_assets.text import clean
from klaviyo_assets.warehouse.duckdb.location import file_of
from klaviyo_assets.warehouse.location import server
from klaviyo_assets.warehouse.warehouse import Warehouse

REPORT = "campaign_report"

EVENTS = "klaviyo__events"
"""The model that the report is made of."""

_TEMPLATE = Path(__file__).with_name("report.html.j2")


class ReportConfig(dg.Config):
    """What the report is about, and where it goes."""

    days: int = Field(default=90, ge=1, description="Days that it covers, today included.")
    path: str = Field(default="", description="The HTML file. Default: beside the DuckDB file; of a server: in data.")


def build_report(described: DescribedAssets, prefix: str, schema: str, events: dg.AssetKey) -> dg.AssetsDefinition:
    """Return the asset that renders the report.

    prefix: of asset keys and of the job. schema: of the models. events: the asset of the model `EVENTS`.
    """
    settings = described.settings
    warehouse_key = f"{settings.name}_warehouse"
    base = dg.AssetSpec(
        [prefix, REPORT],
        deps=[events],
        group_name=group_name(settings, "models"),
        kinds={"html"},
        owners=list(settings.owners),
        description="The last 90 days, or as many as there are, on one HTML page: sends, open and click rates, "
        "revenue, the best campaigns and flows, list growth and deliverability. Its path and a summary are in "
        "the metadata.",
    ).with_io_manager_key(io_manager_key(settings))
    spec = described.translated("report", REPORT, lambda: base)

    @dg.multi_asset(
        name=f"{prefix}__{REPORT}",
        specs=[spec],
        required_resource_keys={warehouse_key},
        **described.options.of_asset(),
    )
    @described.options.executed
    def campaign_report(context: dg.AssetExecutionContext, config: ReportConfig) -> Iterator[dg.MaterializeResult[Any]]:
        warehouse: Warehouse = getattr(context.resources, warehouse_key)
        until = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        since = until - dt.timedelta(days=config.days)
        with advised(), warehouse.session(writes=False) as session:
            if EVENTS not in session.tables(schema):
                raise dg.Failure(f"There is no {schema}.{EVENTS} yet: run {prefix}_job first.", allow_retries=False)
            figures = read_figures(session, schema, since, until, accounts=account_schemas(settings))
        try:
            page = render(figures, title(settings))
        except NotDrawn as error:
            raise dg.Failure(f"The charts could not be drawn: {error}.", allow_retries=False) from None
        path = Path(config.path) if config.path else default_path(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "path": dg.MetadataValue.path(str(path.absolute())),
                "report": dg.MetadataValue.url(path.absolute().as_uri()),
                "preview": dg.MetadataValue.md(summary(figures)),
                "bytes": path.stat().st_size,
            },
        )

    return campaign_report


def account_schemas(settings: Settings) -> list[str]:
    """Return the schemas of the accounts that the models are made of."""
    variables = settings.model_variables
    given = [source.get("schema", "klaviyo") for source in variables.get("klaviyo_sources", ())]
    return given or list(variables.get("klaviyo_union_schemas", ())) or [settings.schema_name]


def default_path(settings: Settings) -> Path:
    """Return where the page goes if nobody says: beside the warehouse file, in `data` for a server's database."""
    found = server(settings.warehouse)
    name = re.sub(r"\W", "_", found.database or "") if found else ""
    database = (None if found else file_of(settings.warehouse)) or Path("data") / (name or "warehouse")
    account = "" if settings.name == "klaviyo" else f"{settings.name}_"
    return database.with_name(f"{database.stem}_{account}{REPORT}.html")


def title(settings: Settings) -> str:
    """Return the heading of the page."""
    return "Campaign report" if settings.name == "klaviyo" else f"Campaign report: {settings.name}"


def render(figures: Figures, heading: str) -> str:
    """Return the page. Raises NotDrawn."""
    import jinja2  # not needed to load the code location, as the library of the charts, which takes a second

    from klaviyo_assets.models.charts import charts

    def cleaned(value: Any) -> Any:
        return clean(value) if type(value) is str else value  # what is marked as safe is SVG

    environment = jinja2.Environment(autoescape=True, finalize=cleaned)
    environment.filters.update(number=number, percent=percent, money=Money(figures.currency))
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=heading,
        figures=figures,
        last_day=figures.until - dt.timedelta(days=1),
        tiles=tiles(figures),
        charts=charts(figures),
        sections=[
            ("Messages received, by week", "sends"),
            ("Open and click rate", "rates"),
            ("Revenue, by week", "revenue"),
            ("Revenue per recipient", "per_recipient"),
            ("List growth", "growth"),
            ("Deliverability", "deliverability"),
        ],
        rankings=[
            ("Campaigns with the most revenue", "campaigns", figures.campaigns),
            ("Flows with the most revenue", "flows", figures.flows),
        ],
    )


def tiles(figures: Figures) -> list[tuple[str, str]]:
    """Return the headline figures: label, value."""
    total, money = figures.total, Money(figures.currency)
    return [
        ("messages received", number(total["sent"])),
        ("e-mails opened", percent(total["open_rate"])),
        ("e-mails, texts clicked", percent(total["click_rate"])),
        ("attributed revenue", money(total["revenue"], 0)),
        ("revenue per recipient", money(total["revenue_per_recipient"])),
        ("subscribers gained", number(total["growth"])),
        ("e-mails bounced", percent(total["bounce_rate"])),
    ]


def summary(figures: Figures) -> str:
    """Return the report in short, as Markdown."""
    money = Money(figures.currency)
    lines = [f"{figures.since} to {figures.until - dt.timedelta(days=1)}", ""]
    lines += ["| | |", "|---|---:|", *(f"| {label} | {value} |" for label, value in tiles(figures))]
    for heading, rows in (("campaign", figures.campaigns), ("flow", figures.flows)):
        lines += ["", f"| {heading} | received | opened | clicked | revenue |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {_cell(row['name'])} | {number(row['sent'])} | {percent(row['open_rate'])} "
            f"| {percent(row['click_rate'])} | {money(row['revenue'], 0)} |"
            for row in rows[:5]
        ]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Format a whole number."""
    return "-" if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """Format a share."""
    return "-" if value is None else f"{value:.1%}"


class Money:
    """Formats amounts of a currency: an ISO code, or nothing if it is not known."""

    def __init__(self, currency: str) -> None:
        from babel.numbers import get_currency_symbol

        symbol = get_currency_symbol(currency, locale="en") if currency else ""
        self._prefix = f"{symbol} " if symbol.isalpha() else symbol

    def __call__(self, value: float | None, decimals: int = 2) -> str:
        """Format an amount."""
        sign = "-" if value is not None and value < 0 else ""
        return "-" if value is None else f"{sign}{self._prefix}{abs(value):,.{decimals}f}"


def _cell(text: str) -> str:
    return clean(text).replace("|", "\\|").replace("\n", " ")
