"""The report as an asset: which days it is about, where it goes, and what it is made from."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.assets.described import DescribedAssets, enabled_tables
from klaviyo_assets.assets.specs import group_name, io_manager_key
from klaviyo_assets.models.project import MARTS_VARIABLE, variables_with
from klaviyo_assets.models.report.figures import EVENTS, read_figures
from klaviyo_assets.models.report.page import Content, render, summary
from klaviyo_assets.models.report.period import MOST_DAYS, USUAL_DAYS, Kind, Period, chosen_period
from klaviyo_assets.models.report.sections import LEAST_RECIPIENTS, MARTS, read_sections
from klaviyo_assets.models.report.svg import NotDrawn
from klaviyo_assets.models.report.synced import READ, Account, read_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.location import file_of
from klaviyo_assets.warehouse.location import server
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.warehouse import Warehouse

REPORT = "campaign_report"


class ReportConfig(dg.Config):
    """What the report is about, and where it goes."""

    period: Kind = Field(
        default="days", description="days, as many as `days` says; or a calendar week (from Monday) or month."
    )
    first_day: str = Field(
        default="",
        description="The first day that it covers, 2026-03-02 for example; of a week a Monday, of a month the first. "
        "Default: of days so many that today is the last, else the last week or month that is over.",
    )
    days: int | None = Field(
        default=None,
        ge=1,
        le=MOST_DAYS,
        description=f"Days that it covers; {USUAL_DAYS} by default. Only with `period: days`.",
    )
    least_recipients: int = Field(
        default=LEAST_RECIPIENTS, ge=1, description="Subject lines that fewer people got are not compared."
    )
    path: str = Field(
        default="",
        description="The HTML file. Default: beside the DuckDB file; of a server: in data. A week's and a month's have "
        "files of their own.",
    )

    def chosen(self, today: dt.date) -> Period:
        """Return the period that is asked for, up to today: there may be events of the future. Raises ValueError, which
        names the field.
        """
        return chosen_period(self.period, self.first_day, self.days, today).within(dt.date.min, today)


def build_report(
    described: DescribedAssets, prefix: str, schema: str, models: Mapping[str, dg.AssetKey]
) -> dg.AssetsDefinition:
    """Return the asset that renders the report.

    prefix: of asset keys and of the job. schema: of the models. models: the asset of each that is turned on.
    """
    settings = described.settings
    warehouse_key = f"{settings.name}_warehouse"
    synced = [described.key(table) for table in READ if table in {table.name for table in enabled_tables(settings)}]
    base = dg.AssetSpec(
        [prefix, REPORT],
        deps=[*(models[name] for name in (EVENTS, *MARTS) if name in models), *synced],
        group_name=group_name(settings, "models"),
        kinds={"html"},
        owners=list(settings.owners),
        description="The last 90 days, or as many as there are, or a week or a month, on one HTML page, compared with "
        "the period before: sends, open and click rates, revenue and its channels, the best campaigns, flows and "
        "subject lines, customers who came back, list growth and deliverability. Its path and a summary are in the "
        "metadata.",
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
        try:
            period = config.chosen(dt.datetime.now(dt.UTC).date())
        except ValueError as error:
            raise dg.Failure(f"The report's config can't be right. {error}.", allow_retries=False) from None
        with advised(), warehouse.session(writes=False) as session:
            if EVENTS not in session.tables(schema):
                raise dg.Failure(f"There is no {schema}.{EVENTS} yet: run {prefix}_job first.", allow_retries=False)
            content = read_content(session, schema, period, settings, models, config.least_recipients)
        try:
            page = render(content)
        except NotDrawn as error:
            raise dg.Failure(f"The charts could not be drawn: {error}.", allow_retries=False) from None
        path = Path(config.path) if config.path else default_path(settings, config.period, period)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "path": dg.MetadataValue.path(str(path.absolute())),
                "report": dg.MetadataValue.url(path.absolute().as_uri()),
                "preview": dg.MetadataValue.md(summary(content)),
                "bytes": path.stat().st_size,
            },
        )

    return campaign_report


def read_content(
    session: Session,
    schema: str,
    period: Period,
    settings: Settings,
    models: Collection[str],
    least_recipients: int = LEAST_RECIPIENTS,
) -> Content:
    """Read what the report of a period says. schema: of the models. models: those that are turned on."""
    accounts = account_schemas(settings)
    account = read_account(session, accounts)
    orders = order_metric(settings)
    figures = read_figures(session, schema, period, accounts=accounts, orders=orders)
    marts = set(MARTS) & set(models)
    sections = read_sections(
        session, schema, figures.period, marts, accounts=accounts, least_recipients=least_recipients
    )
    return Content(
        title=title(settings, account),
        figures=figures,
        sections=sections,
        account=account,
        order_metric=orders[0],
        notes=notes(settings, schema, sections.missing),
        least_recipients=least_recipients,
    )


def notes(settings: Settings, schema: str, missing: Collection[str]) -> list[str]:
    """Return why sections are left out. missing: the marts that they need."""
    if not missing:
        return []
    what = "Revenue by channel, subject lines, messages of flows, customers who came back and inbox providers"
    if not variables_with(settings.model_variables)[MARTS_VARIABLE]:
        return [f"{what} are left out: the marts are turned off ({MARTS_VARIABLE}: false in model_variables)."]
    tables = ", ".join(f"{schema}.{name}" for name in missing)
    return [f"Sections are left out, as these tables are not there: {tables}. {settings.name}_models_job makes them."]


def order_metric(settings: Settings) -> list[str]:
    """Return all names of the metric whose events are orders, the one that is asked for first."""
    variables = variables_with(settings.model_variables)
    chosen = str(variables["klaviyo__conversion_metric"])
    found = [chosen]
    for name, others in variables["klaviyo__metric_names"].items():
        if chosen.lower() in (each.lower() for each in (name, *others)):
            found += [name, *others]
    return found


def account_schemas(settings: Settings) -> list[str]:
    """Return the schemas of the accounts that the models are made of."""
    variables = settings.model_variables
    given = [source.get("schema", "klaviyo") for source in variables.get("klaviyo_sources", ())]
    return given or list(variables.get("klaviyo_union_schemas", ())) or [settings.schema_name]


def default_path(settings: Settings, kind: Kind = "days", period: Period | None = None) -> Path:
    """Return where the page goes if nobody says: beside the warehouse file, in `data` for a server's database."""
    found = server(settings.warehouse)
    name = re.sub(r"\W", "_", found.database or "") if found else ""
    database = (None if found else file_of(settings.warehouse)) or Path("data") / (name or "warehouse")
    account = "" if settings.name == "klaviyo" else f"{settings.name}_"
    days = f"_{kind}_{period.since}" if period and kind != "days" else ""
    return database.with_name(f"{database.stem}_{account}{REPORT}{days}.html")


def title(settings: Settings, account: Account) -> str:
    """Return the heading of the page: with the account's own name, else with that in the settings."""
    name = account.name or ("" if settings.name == "klaviyo" else settings.name)
    return f"{name}: campaign report" if name else "Campaign report"
