"""The connection test: the key, its scopes, the warehouse, and how far every table is."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb

from klaviyo_assets.api import (
    KlaviyoClient,
    KlaviyoError,
    NotFound,
    NotPermitted,
    equals,
    revision_support,
)
from klaviyo_assets.assets.due import COMPLETE, is_due
from klaviyo_assets.assets.fields import sparse_fields
from klaviyo_assets.assets.history import known_histories, progress
from klaviyo_assets.privacy import MissingSalt, salt
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.catalogue import TABLES
from klaviyo_assets.tables.documents import inside, resources
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.extract import SNAPSHOT
from klaviyo_assets.warehouse.inspection import INSPECTED

ONE = {"page[size]": 1}

WARN_DAYS = 90
"""Days before the end of the API revision's support from which on there is a warning."""


@dataclass(frozen=True)
class Probe:
    """A scope, the cheapest request that needs it, and the families of tables that it feeds."""

    operation: str
    path: str
    families: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=lambda: ONE)


PROBES: dict[str, Probe] = {
    "accounts:read": Probe("get_accounts", "/accounts", ("accounts",), {}),
    "events:read": Probe("get_events", "/events", ("events",)),
    "profiles:read": Probe("get_profiles", "/profiles", ("profiles", "list_members", "segment_members")),
    "metrics:read": Probe("get_metrics", "/metrics", ("metrics", "custom_metrics", "mapped_metrics"), {}),
    "campaigns:read": Probe(
        "get_campaigns",
        "/campaigns",
        ("campaigns", "campaign_reports"),
        {"filter": equals("messages.channel", "email"), **ONE},
    ),
    "flows:read": Probe("get_flows", "/flows", ("flows", "flow_messages", "flow_reports")),
    "lists:read": Probe("get_lists", "/lists", ("lists", "list_members")),
    "segments:read": Probe("get_segments", "/segments", ("segments", "segment_members")),
    "tags:read": Probe("get_tags", "/tags", ("tags", "tag_groups", "campaigns", "flows", "lists", "segments")),
    "templates:read": Probe("get_templates", "/templates", ("templates", "universal_content", "campaigns")),
    "coupons:read": Probe("get_coupons", "/coupons", ("coupons", "coupon_codes")),
    "coupon-codes:read": Probe(
        "get_coupon_codes", "/coupon-codes", ("coupon_codes",), {"filter": equals("coupon.id", "none"), **ONE}
    ),
    "forms:read": Probe("get_forms", "/forms", ("forms", "form_versions")),
    "catalogs:read": Probe("get_catalog_items", "/catalog-items", ("catalog_items", "catalog_categories")),
    "images:read": Probe("get_images", "/images", ("images",)),
    "reviews:read": Probe("get_reviews", "/reviews", ("reviews",)),
    "web-feeds:read": Probe("get_web_feeds", "/web-feeds", ("web_feeds",)),
    "push-tokens:read": Probe("get_push_tokens", "/push-tokens", ("push_tokens",)),
    "webhooks:read": Probe("get_webhooks", "/webhooks", ("webhooks",), {}),
}
"""Scope -> how to find out whether the key has it (scopes as in Klaviyo's OpenAPI document, revision 2026-07-15)."""


@dataclass
class ScopeReport:
    """Whether the key has a scope. problem: why not, None if it has it."""

    scope: str
    tables: list[str]
    problem: str | None = None


@dataclass
class TableReport:
    """How far a table is. Times are UTC; None: never.

    synced_through: the watermark, or when a table that is imported as a whole was last read. synced_at: start of the
        run that wrote it. rows: live rows at the last check, or rows that came last. due: whether the next sync reads
        it.
    """

    table: str
    synced_through: str | None
    synced_at: str | None
    rows: int | None
    next_due: str | None
    due: bool


@dataclass
class Report:
    """What the check found. problems: what makes the check fail; empty if everything works.

    key_variable: the environment variable that holds the key; the key itself is in no report.
    revision_days_left: days until Klaviyo ends the support of the API revision that is spoken.
    history: how far back EVENT and PERSON have been read; None before the first sync.
    warnings: what needs attention, but does not make the check fail.
    """

    account: str | None = None
    key_variable: str = ""
    revision_days_left: int = 0
    scopes: list[ScopeReport] = field(default_factory=list)
    warehouse: str = ""
    tables: list[TableReport] = field(default_factory=list)
    history: dict[str, int | str] | None = None
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def enabled_tables(settings: Settings) -> list[Table]:
    """Return the tables that the settings ask for."""
    members = settings.memberships != "off"
    return [
        table
        for table in TABLES
        if settings.enabled(table) and (members or table.family not in ("list_members", "segment_members"))
    ]


def check(settings: Settings) -> Report:
    """Try the API key, each scope that an enabled table needs, and the warehouse; look up the state of the tables.

    Makes one request for each scope, and two for the history. Raises nothing that is the user's to mend: that is in
    the report's problems.
    """
    report = Report(key_variable=settings.api_key_variable, revision_days_left=revision_support(dt.date.today()))
    if report.revision_days_left < WARN_DAYS:
        report.warnings.append(
            f"Klaviyo supports the API revision for {report.revision_days_left} more days: update klaviyo-assets."
        )
    tables = enabled_tables(settings)
    warehouse = DuckDBWarehouse(database=settings.duckdb_path, schema_name=settings.destination_schema, lock_timeout=5)
    writable = _check_warehouse(settings, warehouse, tables, report)
    key = os.environ.get(settings.api_key_variable)
    if settings.masking.hashes:
        try:
            salt(settings.hash_salt_variable)
        except MissingSalt as error:
            report.problems.append(str(error))
    if not key:
        report.problems.append(f"{settings.api_key_variable} is not set: it holds the private API key.")
        return report
    with KlaviyoClient(key, base_url=settings.api_url, defaults=sparse_fields(settings)) as client:
        try:
            _check_api(client, tables, report)
            if writable:
                histories = known_histories(settings, warehouse, client)
                report.history = progress(histories, client.now().date()) if histories else None
        except KlaviyoError as error:
            report.problems.append(str(error))
    return report


def _check_api(client: KlaviyoClient, tables: list[Table], report: Report) -> None:
    for scope, probe in PROBES.items():
        fed = [table.name for table in tables if table.family in probe.families]
        if not fed and probe.operation != "get_accounts":
            continue
        found = ScopeReport(scope, fed)
        report.scopes.append(found)
        try:
            page = client.get(probe.operation, probe.path, probe.params)
        except NotPermitted as error:
            found.problem = str(error)
        except NotFound:
            continue  # permitted, and nothing there
        else:
            if probe.operation == "get_accounts":
                for account in resources(page.json()):
                    report.account = inside(account, "contact_information").get("organization_name")


def _check_warehouse(settings: Settings, warehouse: DuckDBWarehouse, tables: list[Table], report: Report) -> bool:
    """Look up how far the tables are; return whether the warehouse can be written."""
    report.warehouse = f"{settings.duckdb_path}, schema {settings.destination_schema}"
    try:
        warehouse.try_to_write()
        states = warehouse.states()
    except (WarehouseError, duckdb.Error, OSError) as error:
        report.problems.append(f"The warehouse can't be written: {error}")
        return False
    now = dt.datetime.now(dt.UTC)
    for table in tables:
        scope = next((s for s in (SNAPSHOT, COMPLETE) if (table.name, s) in states), "")
        state = states.get((table.name, scope))
        through = state.synced_through if state else None
        following = through + table.cadence if through and table.cadence else None
        live = states.get((table.name, INSPECTED), state)
        report.tables.append(
            TableReport(
                table.name,
                synced_through=through.isoformat() if through else None,
                synced_at=state.synced_at.isoformat() if state and state.synced_at else None,
                rows=live.rows if live else None,
                next_due=following.isoformat() if following else ("every sync" if through else "now"),
                due=is_due(settings, states, table.name, scope, table.cadence, now),
            )
        )
    return True
