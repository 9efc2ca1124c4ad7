"""Klaviyo's reports, of which the sandbox counts its own truth by its own settings, beside what the models count."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.sandbox.account import Account, Attribution, Event
from klaviyo_assets.sandbox.account.attribution import WINDOWS
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.sandbox.shop.machines import add_machines
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import only, projects
from klaviyo_assets_tests.models.test_marts import Account as Built
from klaviyo_assets_tests.models.test_marts import build

NOW = dt.datetime(2026, 3, 20, 2, 30, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
DAYS = 25
REPORTED, READ = NOW + HOUR, NOW + 3 * HOUR
"""When the reports were read, and when the events were."""

TABLES = ("metric", "campaign", "campaign_message", "campaign_variation", "flow", "account_history")

SETTINGS: dict[str, tuple[Attribution, dict[str, Any]]] = {
    "of today": (Attribution(), {}),
    "of 2023, people only": (
        Attribution(
            {name: DAY if "Text" in name or "SMS" in name else window for name, window in WINDOWS.items()}
            | {"Received SMS": -DAY, "Received Text Message": -DAY},
            excludes_machine_opens=True,
            excludes_bot_clicks=True,
        ),
        {
            "klaviyo__joined_before_2024_10_09": True,
            "klaviyo__exclude_machine_opens": True,
            "klaviyo__exclude_bot_clicks": True,
        },
    ),
    "of short windows, no cancelled orders": (
        Attribution(
            {"Opened Email": DAY, "Clicked Email": 2 * DAY, "Clicked Text Message": 3 * HOUR},
            excludes_cancelled_orders=True,
        ),
        {
            "klaviyo__email_open_attribution_window": 24,
            "klaviyo__email_click_attribution_window": 48,
            "klaviyo__text_open_attribution_window": 0,
            "klaviyo__text_click_attribution_window": 3,
            "klaviyo__text_delivery_attribution_window": 0,
            "klaviyo__push_open_attribution_window": 0,
            "klaviyo__exclude_cancelled_orders": True,
        },
    ),
}
"""Settings of an account -> how it counts, and the variables that say so."""


@dataclass
class Shop:
    """An account whose events have been read, two hours after its reports.

    hidden: events that the reports count, and that Klaviyo never shows.
    late: those that it shows after the reports, though they happened before. gone: a profile that was deleted.
    """

    sandbox: Sandbox
    file: Path
    hidden: list[Event]
    late: list[Event]
    gone: str

    @property
    def account(self) -> Account:
        return self.sandbox.account

    def numbers(self, folder: Path, name: str, at: dt.datetime) -> list[dict[str, Any]]:
        """Build the models of an account whose reports were read at a time; what its settings are by name."""
        attribution, variables = SETTINGS[name]
        file = str(shutil.copy(self.file, folder / "w.duckdb"))
        settings = Settings(duckdb_path=file, model_variables=variables)
        warehouse = warehouse_of(settings)
        self.account.attribution = attribution
        self.account.clock.set(at)
        source = KlaviyoAccount(warehouse=warehouse, api_url=self.sandbox.url)
        source._client = KlaviyoClient("pk_sandbox", base_url=self.sandbox.url)
        for event in self.hidden:
            self.account.events.add(event)
        for report in ("campaign_report", "flow_report"):
            spec = table(report)
            rows = [row for page in READS[spec.family](source) for row in page[report]]
            with temporary_spool() as spool:
                spool.write(typed_batch(Columns.of_rows(rows, spec.types), spec))
                warehouse.load(Extract(spec, states=(SyncState(report, synced_through=at, complete=True),)), spool)
        source.client.close()
        build(settings, folder / "cache", "+why_numbers_differ,resource_type:model")
        return Built(settings, folder).rows("why_numbers_differ")

    def planted(self, statistic: str, name: str, *, late: bool = True) -> dict[tuple[str, str], float]:
        """What nothing explains of a statistic: hidden events that count by the settings, less late ones."""
        leaves_out = SETTINGS[name][0].leaves_out
        names = {metric.id: metric.attributes["name"] for metric in self.account.all("metric")}
        found: dict[tuple[str, str], float] = defaultdict(float)
        for events, sign in ((self.hidden, 1), (self.late if late else [], -1)):
            for event in events:
                if statistic in COUNTED[names[event.metric_id or ""]] and not leaves_out(event.properties):
                    found[event.properties["$message"], statistic] += sign
        return found


COUNTED = {"Opened Email": ("opens", "opens_unique"), "Received Email": ("delivered",)}


def campaign_events(account: Account, metric: str, since: dt.datetime, until: dt.datetime) -> Iterator[Event]:
    """Events of a metric that are about messages of campaigns, by people who never order."""
    ids = {each.id: each.attributes["name"] for each in account.all("metric")}
    buyers = {event.profile_id for event in account.events if ids.get(event.metric_id or "") == "Placed Order"}
    for event in account.events.between((int(since.timestamp()), ""), (int(until.timestamp()), "")):
        is_of_campaign = "$message_interaction" in event.properties and "$flow" not in event.properties
        if ids.get(event.metric_id or "") == metric and is_of_campaign and event.profile_id not in buyers:
            yield event


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Of old messages some opens are hidden, of the latest some are late; afterwards people open and order again."""
    account = generate_account(events=6_000, profiles=150, days=DAYS, seed=5, now=NOW)
    add_machines(account)
    account.update("account", account.all("account")[0].id, timezone="America/New_York")
    account.clock.freeze()
    metrics = {metric.attributes["name"]: metric.id for metric in reversed(account.all("metric"))}
    opens = list(campaign_events(account, "Opened Email", NOW - DAYS * DAY, NOW))
    times = Counter((event.profile_id, event.properties["$message"]) for event in opens)
    hidden = [
        account.remove_event(event.id)
        for event in opens
        if event.occurred_at < (NOW - 18 * DAY).timestamp()
        and times[event.profile_id, event.properties["$message"]] == 1
        and not event.properties["machine_open"]
    ][:15]
    late = list(campaign_events(account, "Received Email", NOW - 5 * DAY, NOW))[:3]
    for event in late:
        event.visible_at = (REPORTED + HOUR).timestamp()
    recent = list(campaign_events(account, "Opened Email", NOW - 5 * DAY, NOW))
    gone = str(recent[0].profile_id)
    for number, event in enumerate(recent[5:25]):
        for hours in (2, 9):  # before the events were read, and after
            moment = NOW + hours * HOUR + number * dt.timedelta(seconds=1)
            happen = partial(account.add_event, occurred_at=moment, visible_at=moment, profile_id=event.profile_id)
            click = happen(metrics["Clicked Email"], properties=event.properties)
            credit = {"attributed-event": click.id, "campaign": "c", "campaign-message": "m"}
            order = {"$value": 10, "$event_id": f"{number} {hours}"}
            happen(metrics["Placed Order"], properties=order, attribution=credit)
    folder = tmp_path_factory.mktemp("numbers")
    with pytest.MonkeyPatch.context() as patch, projects(folder / "w.duckdb", patch) as project:
        klaviyo = project(account, tables=only(*TABLES))
        account.clock.set(READ)
        account.delete("profile", gone)
        klaviyo.sync(first=-DAYS - 1)
        yield Shop(klaviyo.sandbox, folder / "w.duckdb", hidden, late, gone)


def total(rows: list[dict[str, Any]], cause: str) -> float:
    return float(sum(abs(row[cause]) for row in rows))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if "people" in name else pytest.mark.soak) for name in SETTINGS],
)
def test_what_differs_is_explained_and_what_nothing_explains_is_shown(shop: Shop, tmp_path: Path, name: str) -> None:
    attribution, _ = SETTINGS[name]
    rows = shop.numbers(tmp_path, name, REPORTED)
    planted = {key: value for what in STATISTICS for key, value in shop.planted(what, name).items()}
    assert len(planted) > 2
    assert {(row["message_id"], row["statistic"]): row["unexplained"] for row in rows if row["unexplained"]} == planted
    assert total(rows, "attribution_window") > 20 and total(rows, "events_after_report") > 20
    assert total(rows, "time_zone") > 0 and total(rows, "deleted_profiles") > 0
    assert (total(rows, "machine_opens") > 100) == attribution.excludes_machine_opens
    assert (total(rows, "bot_clicks") > 100) == attribution.excludes_bot_clicks
    assert (total(rows, "cancelled_orders") > 0) == attribution.excludes_cancelled_orders
    assert total(rows, "events_not_read_yet") == 0


STATISTICS = ("opens", "opens_unique", "delivered")


@pytest.mark.soak
def test_what_was_not_read_yet_is_told_by_how_far_events_were_read(shop: Shop, tmp_path: Path) -> None:
    """The reports are a day younger than the events: what is missing is not there yet, but for old messages."""
    name = next(iter(SETTINGS))
    rows = shop.numbers(tmp_path, name, READ + DAY)
    planted = {key: value for what in STATISTICS for key, value in shop.planted(what, name, late=False).items()}
    assert {(row["message_id"], row["statistic"]): row["unexplained"] for row in rows if row["unexplained"]} == planted
    assert total(rows, "events_not_read_yet") > 20 and total(rows, "events_after_report") == 0
