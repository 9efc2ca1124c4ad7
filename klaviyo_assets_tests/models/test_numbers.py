"""Klaviyo's reports, of which the sandbox counts its own truth by its own settings, beside what the models count."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """

    sandbox: Sandbox
    file: Path
    hidden: list[Event]

    @property
    def account(self) -> Account:
        return self.sandbox.account

    def report(self, folder: Path, settings: Attribution, at: dt.datetime) -> Settings:
        """Read the reports as an account with these settings has them at a time; into a copy of the warehouse."""
        found = Settings(duckdb_path=str(shutil.copy(self.file, folder / "w.duckdb")), api_url=self.sandbox.url)
        warehouse = warehouse_of(found)
        self.account.attribution = settings
        self.account.clock.set(at)
        for event in self.hidden:
            self.account.events.add(event)
        source = KlaviyoAccount(warehouse=warehouse, api_url=self.sandbox.url)
        source._client = KlaviyoClient("pk_sandbox", base_url=self.sandbox.url)
        for name in ("campaign_report", "flow_report"):
            spec = table(name)
            rows = [row for page in READS[spec.family](source) for row in page[name]]
            with temporary_spool() as spool:
                spool.write(typed_batch(Columns.of_rows(rows, spec.types), spec))
                warehouse.load(Extract(spec, states=(SyncState(name, synced_through=at, complete=True),)), spool)
        source.client.close()
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    account = generate_account(events=6_000, profiles=150, days=DAYS, seed=5, now=NOW)
    add_machines(account)
    account.update("account", account.all("account")[0].id, timezone="America/New_York")
    account.clock.freeze()
    folder = tmp_path_factory.mktemp("numbers")
    with pytest.MonkeyPatch.context() as patch, projects(folder / "w.duckdb", patch) as project:
        klaviyo = project(account, tables=only(*TABLES))
        account.clock.set(READ)
        klaviyo.sync(first=-DAYS - 1)
        yield Shop(klaviyo.sandbox, folder / "w.duckdb", [])


def unexplained(rows: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    return {(row["message_id"], row["statistic"]): row["unexplained"] for row in rows if row["unexplained"]}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_differs_is_explained(shop: Shop, tmp_path: Path, name: str) -> None:
    attribution, variables = SETTINGS[name]
    settings = shop.report(tmp_path, attribution, REPORTED)
    settings = Settings(duckdb_path=settings.duckdb_path, model_variables=variables)
    build(settings, tmp_path / "cache", "+why_numbers_differ")
    rows = Built(settings, tmp_path).rows("why_numbers_differ")
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        for column, value in row.items():
            if isinstance(value, int | float) and column != "ours":
                sums[row["statistic"]][column] += abs(value)
    for statistic, values in sums.items():
        print(statistic, {k: v for k, v in values.items() if v})
    print(len(rows), unexplained(rows))
    raise AssertionError
