"""The connection test: the key, its scopes, the warehouse, and how far every table is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb

from klaviyo_assets import environment
from klaviyo_assets.api import (
    REVISION,
    InvalidRequest,
    KlaviyoClient,
    KlaviyoError,
    NotFound,
    NotPermitted,
    Page,
    Window,
    equals,
    revision_support,
)
from klaviyo_assets.api.revision import ending
from klaviyo_assets.assets.advice import advised, of_klaviyo
from klaviyo_assets.assets.described import enabled_tables
from klaviyo_assets.assets.history import known_histories, progress
from klaviyo_assets.assets.identity import confirm
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.cli import postgres
from klaviyo_assets.cli.pools import of_pools
from klaviyo_assets.privacy.policy import MissingSalt, salt
from klaviyo_assets.settings import Settings
from klaviyo_assets.settings.describe import chosen
from klaviyo_assets.settings.sources import DEFAULT_FILE, FORMER_FILE
from klaviyo_assets.shared_limits.counting import NobodyCounts
from klaviyo_assets.shared_limits.making import shared_limits
from klaviyo_assets.sync.due import is_due
from klaviyo_assets.sync.fields import sparse_fields
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.sync.reads.collection import Collection
from klaviyo_assets.sync.scopes import COMPLETE
from klaviyo_assets.tables.accounts import account_named
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.errors import AnotherAccount, WarehouseError
from klaviyo_assets.warehouse.location import kind_of, located, shown
from klaviyo_assets.warehouse.results import AccountIdentity
from klaviyo_assets.warehouse.state import INSPECTED, SNAPSHOT, States
from klaviyo_assets.warehouse.warehouse import Warehouse

ONE = {"page[size]": 1}

TRIES = 3
"""How often a question is asked that gets no answer: somebody waits."""


@dataclass(frozen=True)
class Probe:
    """The cheapest request that needs a scope.

    may_be_missing: the request asks for an object that need not exist, so that 404 is an answer to it.
    earlier: parameters for the pinned revision of the API, if the operation is read in a later one that Klaviyo may
        refuse.
    """

    operation: str
    path: str
    params: Mapping[str, Any] = field(default_factory=lambda: ONE)
    may_be_missing: bool = False
    earlier: Mapping[str, Any] | None = None


def _probes() -> dict[str, Probe]:
    """Return scope -> how to find out whether the key has it: the scopes of all families, those of the events first.

    A collection that one query returns is asked for its first row; what is read in another way is listed here.
    """
    found = {
        "accounts:read": Probe("get_accounts", "/accounts", {}),
        "events:read": Probe("get_events", "/events"),
        "profiles:read": Probe("get_profiles", "/profiles"),
        "campaigns:read": Probe(
            "get_campaigns", "/campaigns", earlier={"filter": equals("messages.channel", "email"), **ONE}
        ),
        "flows:read": Probe("get_flows", "/flows"),
        "coupon-codes:read": Probe(
            "get_coupon_codes", "/coupon-codes", {"filter": equals("coupon.id", "none"), **ONE}, may_be_missing=True
        ),
        "forms:read": Probe("get_forms", "/forms"),
        "images:read": Probe("get_images", "/images"),
        "brands:read": Probe("get_brand_colors", "/brand-colors", {}),
        "web-feeds:read": Probe("get_web_feeds", "/web-feeds"),
    }
    for family, read in READS.items():
        if isinstance(read, Collection):
            params = ONE if "page[size]" in read.query else {}
            found.setdefault(
                family.scopes[0], Probe(read.operation, read.path, params, earlier=params if read.later else None)
            )
    return found


PROBES = _probes()
"""Scope -> how to find out whether the key has it (scopes as in Klaviyo's OpenAPI document)."""


@dataclass
class ScopeReport:
    """Whether the key has a scope, as Klaviyo has answered. problem: why not, None if it has it."""

    scope: str
    tables: list[str]
    problem: str | None = None


@dataclass
class TableReport:
    """How far a table is. Times are UTC; None: never.

    synced_through: the watermark, or when a table that is imported as a whole was last read. synced_at: when
        that was stored. rows: live rows at the last check, or rows that came last. due: whether the next sync reads it.
    """

    table: str
    synced_through: str | None
    synced_at: str | None
    rows: int | None
    next_due: str | None
    due: bool


@dataclass
class CheckReport:
    """What the check found. problems: what makes the check fail; empty if everything works.

    key_variable: the environment variable that holds the key; the key itself is in no report. key_origin: where that
        is set; None: nowhere.
    settings: name -> `value` and `from`, where it comes from, of what is not left at its default.
    scopes: those that Klaviyo has answered about.
    revisions: revision of the API that is spoken -> days until Klaviyo ends its support.
    revision_days_left: the least of them.
    history: how far back EVENT and PERSON have been read; None before the first sync.
    warnings: what needs attention, but does not make the check fail.
    """

    account: str | None = None
    key_variable: str = ""
    key_origin: str | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
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


def check(settings: Settings, *, today: dt.date | None = None) -> CheckReport:
    """Try the API key, each scope that an enabled table needs, and the warehouse; look up the state of the tables.

    Makes one request for each scope, and two for the history. Raises nothing that is the user's to mend: that is in
    the report's problems. today: by which it warns that the support of a revision of the API ends; by default that of
    this machine.
    """
    today = today or dt.date.today()
    left = revision_support(today)
    report = CheckReport(key_variable=settings.api_key_variable, revisions=left, revision_days_left=min(left.values()))
    report.warnings += ending(today)
    report.settings = {name: {"value": value, "from": place} for name, (value, place) in chosen(settings).items()}
    report.warnings += [*_of_environment(settings), *of_pools(settings)]
    tables = enabled_tables(settings)
    warehouse = warehouse_of(settings, lock_timeout=5)
    writable = _check_warehouse(settings, warehouse, tables, report)
    key = environment.get(settings.api_key_variable)
    if settings.privacy.hashes:
        try:
            salt(settings.hash_salt_variable)
        except MissingSalt as error:
            report.problems.append(str(error))
    if not key:
        report.problems.append(f"{settings.api_key_variable} is not set: it holds the private API key.")
        return report
    report.key_origin = environment.origin(settings.api_key_variable)
    report.problems += _counting(settings, warehouse, key)

    def ask(client: KlaviyoClient) -> None:
        _check_api(settings, client, tables, warehouse if writable else None, report)
        if writable:
            histories = known_histories(settings, warehouse, client)
            report.history = progress(histories, client.now().date()) if histories else None

    report.problems += _asked(settings, key, ask)
    return report


def _counting(settings: Settings, warehouse: Warehouse, key: str) -> list[str]:
    """Try to count a request where `rate_limits` says; return why that fails."""
    if not settings.rate_limits:
        return []
    try:
        if counting := shared_limits(settings.rate_limits, settings.rate_limits_variable, warehouse, key):
            with closing(counting):
                counting.take("check", [Window(1000, 60.0)] * 2)
    except NobodyCounts as error:
        return [str(error)]
    return []


def key_problems(settings: Settings) -> list[str]:
    """Ask Klaviyo whether it accepts the key; return why it does not, nothing if it does."""

    def ask(client: KlaviyoClient) -> None:
        with suppress(NotPermitted):
            client.get("get_accounts", "/accounts", many=True)

    return _asked(settings, environment.get(settings.api_key_variable) or "", ask)


def _asked(settings: Settings, key: str, ask: Callable[[KlaviyoClient], None]) -> list[str]:
    """Ask Klaviyo something; return why there was no answer."""
    try:
        with KlaviyoClient(key, base_url=settings.api_url, defaults=sparse_fields(settings), tries=TRIES) as client:
            ask(client)
    except KlaviyoError as error:
        return [of_klaviyo(error, settings.api_key_variable)]
    return []


def _of_environment(settings: Settings) -> Iterator[str]:
    """Yield what is to be said about where settings come from."""
    if settings.warehouse == located(FORMER_FILE):
        yield (
            f"{FORMER_FILE} is the default file of earlier versions: in it `klaviyo.event` has to be written "
            f"`klaviyo.klaviyo.event`. Rename it to {DEFAULT_FILE}, the default now, while nothing has it open."
        )
    for name in environment.differing():
        yield (
            f"{name} differs between the shell, which counts here, and .env. Dagster's own commands, but for `dagster "
            f"job execute` and `dagster dev` on Linux, take that of .env, unless it says {name}=${{{name}:-...}}."
        )


def _check_api(
    settings: Settings,
    client: KlaviyoClient,
    tables: list[Table],
    warehouse: Warehouse | None,
    report: CheckReport,
) -> None:
    ours: AccountIdentity | None = None
    for scope, probe in PROBES.items():
        fed = [table.name for table in tables if scope in table.family.scopes]
        if not fed and probe.operation != "get_accounts":
            continue
        problem = None
        try:
            page = _answer(client, probe, report)
            if probe.operation == "get_accounts" and (found := account_named(page.json())):
                ours = AccountIdentity(*found)
                report.account = ours.name or ours.id
        except NotPermitted as error:
            problem = str(error)
        except NotFound:
            if not probe.may_be_missing:
                raise
        report.scopes.append(ScopeReport(scope, fed, problem))
    if warehouse:
        try:
            warning = confirm(client, warehouse, ours, settings.api_key_variable)
            report.warnings += [warning] if warning else []
        except AnotherAccount as error:
            report.problems.append(str(error))


def _answer(client: KlaviyoClient, probe: Probe, report: CheckReport) -> Page:
    try:
        return client.get(probe.operation, probe.path, probe.params, many=True)
    except InvalidRequest as refusal:
        if probe.earlier is None:
            raise
        page = client.get(probe.operation, probe.path, probe.earlier, many=True, revision=REVISION)
        report.warnings.append(f"Of {probe.operation}, only what revision {REVISION} shows is read: {refusal}")
        return page


def _check_warehouse(settings: Settings, warehouse: Warehouse, tables: list[Table], report: CheckReport) -> bool:
    """Look up how far the tables are; return whether the warehouse can be written."""
    report.warehouse = f"{shown(settings.warehouse)}, schema {settings.schema_name}"
    try:
        with advised():
            if kind_of(settings.warehouse) == "postgres":
                version, problems, warnings = postgres.look(warehouse, settings)
                report.warehouse += f", {version}"
                report.warnings += warnings
                report.problems += problems
                if problems:
                    return False
            if kind_of(settings.warehouse) == "snowflake":
                with warehouse.session(writes=False) as session:
                    ((version, role),) = session.sql("SELECT current_version(), current_role()")
                report.warehouse += f", Snowflake {version}, role {role}"
            if kind_of(settings.warehouse) == "clickhouse":
                with warehouse.session(writes=False) as session:
                    ((version, user),) = session.sql("SELECT version(), currentUser()")
                report.warehouse += f", ClickHouse {version}, user {user}"
            warehouse.try_to_write()
            states = warehouse.states()
    except (WarehouseError, duckdb.Error, OSError) as error:
        report.problems.append(f"The warehouse can't be written: {error}")
        return False
    report.tables = how_far(settings, tables, states)
    return True


def status(settings: Settings) -> list[TableReport]:
    """Return how far every table is, without asking Klaviyo; raises WarehouseError if the warehouse can't be read."""
    with advised():
        states = warehouse_of(settings, lock_timeout=5).states()
    return how_far(settings, enabled_tables(settings), states)


def how_far(settings: Settings, tables: list[Table], states: States) -> list[TableReport]:
    """Return how far tables are, as the states say."""
    found = []
    now = dt.datetime.now(dt.UTC)
    for table in tables:
        scope = next((s for s in (SNAPSHOT, COMPLETE) if (table.name, s) in states), "")
        state = states.get((table.name, scope))
        through = state.synced_through if state else None
        following = through + table.cadence if through and table.cadence else None
        live = states.get((table.name, INSPECTED), state)
        found.append(
            TableReport(
                table.name,
                synced_through=through.isoformat() if through else None,
                synced_at=state.stored_at.isoformat() if state and state.stored_at else None,
                rows=live.rows if live else None,
                next_due=following.isoformat() if following else ("every sync" if through else "now"),
                due=is_due(settings, states, table.name, scope, table.cadence, now),
            )
        )
    return found
