"""The models say what the account of `by_hand` holds, and go on saying it however it changes."""

from __future__ import annotations

import datetime as dt
import io
import logging
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from klaviyo_assets.cli import runs
from klaviyo_assets.cli.main import main
from klaviyo_assets.cli.places import variables
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.models.assets import chosen_models, dbt_variables, models_prefix
from klaviyo_assets.models.metadata import describe
from klaviyo_assets.models.project import read_project
from klaviyo_assets.models.report.asset import account_schemas, read_content
from klaviyo_assets.models.report.figures import read_figures
from klaviyo_assets.models.report.page import Content, render, summary
from klaviyo_assets.models.report.period import Period, of_days
from klaviyo_assets.models.report.sections import MARTS, Sections
from klaviyo_assets.models.report.tables import tiles
from klaviyo_assets.models.run import DbtFailed, Result, dbt_build
from klaviyo_assets.models.targets import duckdb
from klaviyo_assets.models.unexplained import CHECK
from klaviyo_assets.privacy.policy import DIGEST
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.conftest import QUIET, failures
from klaviyo_assets_tests.documents import DOCUMENTS, blocks
from klaviyo_assets_tests.models import by_hand, expected
from klaviyo_assets_tests.models.by_hand import at, event, old_credit, put, worth
from klaviyo_assets_tests.models.dbt import forked

LOG = logging.getLogger(__name__)


def model_key(settings: Settings, name: str) -> dg.AssetKey:
    return dg.AssetKey([models_prefix(settings), name])


FINALS = (
    "klaviyo__events",
    "klaviyo__person_campaign_flow",
    "klaviyo__campaigns",
    "klaviyo__flows",
    "klaviyo__persons",
)

OF_THE_SHOP = tuple(
    f"shopify_holistic_reporting__{name}"
    for name in ("orders_attribution", "customer_enhanced", "daily_customer_metrics")
)

SHOWN, PRINTED = "shown.txt", "printed.txt"


@dataclass
class Built:
    """A warehouse with models. The file has the name of the schema: everything has to be called by three names."""

    folder: Path
    cache: Path

    @property
    def settings(self) -> Settings:
        return Settings(duckdb_path=str(self.folder / "klaviyo.duckdb"), shopify_schema="shop")

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(database=self.settings.duckdb_path)

    def copy(self, folder: Path) -> Built:
        shutil.copytree(self.folder, folder)
        return Built(folder, self.cache)

    def rows(self, model: str, columns: Sequence[str] = ("*",), schema: str = "klaviyo_models") -> list[dict[str, Any]]:
        with self.warehouse.connect() as connection:
            result = connection.execute(f'SELECT {", ".join(columns)} FROM klaviyo."{schema}"."{model}"')
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def write(self, statement: str) -> None:
        with self.warehouse.connect() as connection:
            connection.execute(statement).fetchall()

    def build(
        self, *select: str, schema: str = "klaviyo_models", more: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Result]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("klaviyo_assets.models.run._dbt", forked)
            results = dbt_build(
                duckdb.target(self.settings.duckdb_path, schema, {}),
                select=select,
                variables=dbt_variables(self.settings) | (more or {}),
                cache=self.cache,
                log=LOG,
                **options,
            )
        return {result.name: result for result in results}


class Looked(io.StringIO):
    """What is printed, as if it were a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Built, dg.ExecuteInProcessResult]]:
    """The models and the report, built once by `klaviyo-assets models` on a terminal."""
    folder = tmp_path_factory.mktemp("models")
    home = folder / "home"
    built = Built(folder / "data", home / "storage" / "klaviyo_models")
    by_hand.put_account(built.warehouse)
    by_hand.put_shop(built.warehouse)
    of_another_dbt = {"TARGET": "prod", "PROFILE": "shop", "DEFER": "true", "RESOURCE_TYPES": "seed", "EMPTY": "true"}
    results: list[dg.ExecuteInProcessResult] = []
    launch = runs.run

    def noted(*arguments: Any, **more: Any) -> dg.ExecuteInProcessResult:
        results.append(launch(*arguments, **more))
        return results[-1]

    with environment_of(built), pytest.MonkeyPatch.context() as patch:
        for name, value in of_another_dbt.items():
            patch.setenv(f"DBT_{name}", value)
        patch.setattr(runs, "run", noted)
        patch.setattr(sys, "stdout", printed := Looked())
        patch.setattr("klaviyo_assets.cli.terminal._terminal", lambda: (built.folder / SHOWN).open("w"))
        main.main(["models"], standalone_mode=False)
    (built.folder / PRINTED).write_text(printed.getvalue())
    yield built, results[0]


@contextmanager
def environment_of(built: Built) -> Iterator[None]:
    """The shell of somebody whose account is a warehouse with models."""
    with variables(
        KLAVIYO_API_KEY="pk_of_no_use",
        KLAVIYO_WAREHOUSE=built.settings.warehouse,
        KLAVIYO_SHOPIFY_SCHEMA=built.settings.shopify_schema,
        DAGSTER_HOME=str(built.cache.parents[1]),
    ):
        yield


@pytest.fixture(scope="module")
def hand(run: tuple[Built, dg.ExecuteInProcessResult]) -> Built:
    built, result = run
    assert result.success, failures(result)
    return built


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def compare(rows: list[dict[str, Any]], keys: Sequence[str], wanted: expected.Rows) -> None:
    """Check every metric of every row, and whatever else the expectation names."""
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert found.keys() == wanted.keys() and len(rows) == len(wanted)
    metric = re.compile(r"^((total|organic|unique)_)*(count|sum_revenue)_")
    for key, row in found.items():
        names = {name for name in row if metric.match(name)}
        assert len(names) > 18 and names >= {name for name in wanted[key] if metric.match(name)}
        figures = {name: plain(row[name]) for name in names | wanted[key].keys()}
        assert figures == {**dict.fromkeys(names, 0), **wanted[key]}, key


# The figures


def test_every_event_is_credited_as_klaviyo_says(hand: Built) -> None:
    rows = {row["event_id"]: row for row in hand.rows("klaviyo__events")}
    times = {given["id"]: given["timestamp"].replace(tzinfo=None) for given in by_hand.EVENTS}
    types = {given["id"]: given["type"] for given in by_hand.EVENTS}
    assert rows.keys() == times.keys()
    for id, row in rows.items():
        campaign, flow, touch = expected.CREDITS[id]
        kind = "campaign" if campaign else "flow" if flow else None
        found = [row[f"last_touch_{name}"] for name in ("campaign_id", "flow_id", "type", "at", "event_type")]
        assert found == [campaign, flow, kind, times.get(touch or ""), types.get(touch or "")], id
        assert (row["campaign_name"], row["flow_name"]) == (
            {"c1": "Spring", "c2": "Summer"}.get(campaign or ""),
            {"f1": "Welcome"}.get(flow or ""),
        )
        assert (row["occurred_at"], row["type"], row["source_relation"]) == (times[id], types[id], "klaviyo.klaviyo")
        assert row["occurred_on"] == times[id].date()
    ada = rows["e08"]
    assert (ada["numeric_value"], ada["person_email"], ada["person_city"]) == (100, "Ada@Acme.example", "York")
    assert (ada["integration_name"], ada["campaign_type"], ada["campaign_subject_line"]) == (
        "Shopify",
        "email",
        "Hello",
    )
    assert ada["variation_id"] == "v1", "a conversion belongs to the variation that earned it"


def test_every_metric_is_the_one_counted_by_hand(hand: Built) -> None:
    key = ["person_id", "last_touch_campaign_id", "last_touch_flow_id", "variation_id"]
    compare(hand.rows("klaviyo__person_campaign_flow"), key, expected.PERSON_CAMPAIGN_FLOW)
    compare(hand.rows("klaviyo__campaigns"), ["campaign_id", "variation_id"], expected.CAMPAIGNS)
    compare(hand.rows("klaviyo__flows"), ["flow_id", "variation_id"], expected.FLOWS)
    compare(hand.rows("klaviyo__persons"), ["person_id"], expected.PERSONS)


def test_orders_are_credited_to_the_last_message_before(hand: Built) -> None:
    orders = {row["order_id"]: row for row in hand.rows("shopify_holistic_reporting__orders_attribution")}
    names = ("last_touch_campaign_id", "last_touch_flow_id", "last_touch_event_id", "new_vs_repeat")
    assert {id: tuple(order[name] for name in names) for id, order in orders.items()} == {
        1: ("c1", None, "e03", "new"),
        2: (None, "f1", "e12", "repeat"),
        3: (None, None, None, "repeat"),
        4: (None, None, None, "new"),
        7: (None, None, None, "new"),
        8: (None, None, None, None),
    }
    wanted: dict[int, dict[str, Any]] = {
        1: {
            "email": "ada@acme.example", "line_item_count": 3, "quantity": 4, "product_count": 2,
            "product_variant_count": 3, "shipping_cost": 4.9, "order_total_shipping_tax": 0.4, "refund_subtotal": 15,
            "refund_total_tax": 1.5, "order_adjusted_total": 83.5, "percentage_calc_discount_amount": 3,
            "shipping_discount_amount": 2.9, "fixed_amount_discount_amount": 0, "count_discount_codes_applied": 2,
            "order_tags": "b2b, vip", "order_url_tags": "klaviyo", "number_of_fulfillments": 2,
            "fulfillment_services": "manual", "tracking_companies": "DHL, UPS", "tracking_numbers": "1Z", "number": 1,
            "customer_order_seq_number": 1, "count_interactions_with_campaign": 2, "count_interactions_with_flow": None,
        },
        2: {
            "email": "ada@acme.example", "line_item_count": 1, "shipping_cost": 3.5, "order_adjustment_amount": -1,
            "order_adjustment_tax_amount": -0.25, "order_adjusted_total": 28.75, "fixed_amount_discount_amount": 1,
            "customer_order_seq_number": 2, "count_interactions_with_campaign": None, "count_interactions_with_flow": 1,
        },
        4: {"line_item_count": 0, "quantity": 0, "shipping_cost": 0, "refund_subtotal": 0, "order_adjusted_total": 50},
        7: {"email": None, "customer_id": 13, "order_tags": None, "number_of_fulfillments": 0},
    }  # fmt: skip
    assert {id: {name: plain(orders[id][name]) for name in row} for id, row in wanted.items()} == wanted


def test_the_orders_of_a_day_stand_beside_what_the_customer_did(hand: Built) -> None:
    days = hand.rows("shopify_holistic_reporting__daily_customer_metrics")
    keys = ("email", "campaign_id", "flow_id", "variation_id")
    bought = {
        (str(row["date_day"]), *(row[key] for key in keys)): (
            row["shopify_total_orders"],
            plain(row["shopify_total_price"]),
            row["klaviyo_count_placed_order"],
            plain(row["klaviyo_sum_revenue_placed_order"]),
        )
        for row in days
        if row["shopify_total_orders"] or row["klaviyo_count_placed_order"]
    }
    assert bought == {
        ("2026-03-01", "ada@acme.example", "c1", None, "v1"): (1, 83.5, 1, 100),
        ("2026-03-01", "eve@acme.example", None, None, None): (1, 50, 0, 0),
        ("2026-03-02", "bob@acme.example", "c1", None, "v2"): (0, 0, 1, 80),
        ("2026-03-14", None, None, None, None): (1, 66.73, 1, 10),
        ("2026-03-20", "ada@acme.example", None, None, None): (0, 0, 1, 25.5),
        ("2026-03-21", "ada@acme.example", None, "f1", None): (0, 0, 1, 70),
        ("2026-03-22", "ada@acme.example", None, "f1", None): (1, 28.75, 0, 0),
        ("2026-03-22", "ada@acme.example", None, None, None): (1, 20, 0, 0),
        ("2026-03-28", "bob@acme.example", None, None, None): (1, 5, 0, 0),
    }
    (first,) = (
        row for row in days if row["shopify_total_line_items_price"] is not None and row["shopify_sum_quantity"] == 4
    )
    wanted = {
        "klaviyo_first_event_at": at("03-01 09:00"), "klaviyo_last_event_at": at("03-01 10:31"),
        "campaign_name": "Spring", "campaign_subject_line": "Hello", "campaign_type": "email", "flow_name": None,
        "shopify_source_relation": "",
        "klaviyo_source_relation": "klaviyo.klaviyo", "shopify_count_line_items": 3, "shopify_count_products": 2,
        "shopify_count_product_variants": 3, "shopify_total_shipping_cost": 4.9, "shopify_total_refund_subtotal": 15,
        "shopify_total_refund_tax": 1.5, "shopify_count_cancelled_orders": 0, "klaviyo_count_clicked_email": 1,
    }  # fmt: skip
    assert {name: plain(first[name]) for name in wanted} == wanted
    assert [row["flow_id"] for row in days if row["shopify_count_cancelled_orders"]] == [None]


def test_customers_are_who_the_shop_and_klaviyo_know_by_an_address(hand: Built) -> None:
    """What was spent is what was paid: not what a gift card paid, not what failed, in the shop's currency."""
    nobody = dict.fromkeys(
        f"shopify_{name}" for name in ("customer_ids", "avg_order_value", "first_order_at", "marketing_consent_state")
    )
    nothing = {f"shopify_lifetime_{name}": 0 for name in ("count_orders", "total_spent", "total_refunded", "total_net")}
    wanted: dict[str, dict[str, Any]] = {
        "ada@acme.example": {
            "full_name": "Ada Low", "klaviyo_person_ids": "p1", "klaviyo_person_id": "p1", "klaviyo_city": "York",
            "shopify_customer_ids": "11, 14", "phone_number": "+1555, +1666", "shopify_customer_tags": "gold, new",
            "shopify_customer_first_created_at": at("02-01 09:00"),
            "shopify_customer_last_created_at": at("02-04 09:00"),
            "shopify_account_state": "disabled", "shopify_marketing_consent_state": "pending",
            "shopify_has_accepted_marketing": False, "is_shopify_email_verified": True, "shopify_is_tax_exempt": False,
            "shopify_lifetime_count_orders": 3, "shopify_first_order_at": at("03-01 11:00"),
            "shopify_last_order_at": at("03-22 09:30:01"), "shopify_lifetime_total_spent": 147,
            "shopify_lifetime_total_refunded": 16.5, "shopify_lifetime_total_net": 130.5, "shopify_avg_order_value": 49,
            "shopify_lifetime_total_amount": 132.25, "shopify_avg_quantity_per_order": 2.5,
            "shopify_lifetime_total_tax": 8.5, "shopify_avg_tax_per_order": 4.25, "shopify_lifetime_total_discount": 4,
            "shopify_avg_discount_per_order": 2, "shopify_lifetime_total_shipping": 9,
            "shopify_avg_shipping_per_order": 4.5, "shopify_lifetime_total_shipping_with_discounts": 5.5,
            "shopify_avg_shipping_with_discounts_per_order": 2.75,
            "shopify_lifetime_total_shipping_tax": 0.4, "shopify_avg_shipping_tax_per_order": 0.4,
            "shopify_lifetime_abandoned_checkouts": 2, "klaviyo_total_sum_revenue_placed_order": 195.5,
            "klaviyo_organic_sum_revenue_placed_order": 25.5, "klaviyo_count_total_campaigns": 1,
        },
        "bob@acme.example": {
            "full_name": "Bob", "klaviyo_person_ids": "p2", **nobody, **nothing, "shopify_lifetime_count_orders": 1,
            "shopify_lifetime_total_amount": 5, "shopify_first_order_at": at("03-28 12:00"),
        },
        "eve@acme.example": {
            "full_name": "Eve", "klaviyo_person_ids": None, "shopify_customer_ids": "12", "phone_number": None,
            "shopify_marketing_consent_state": "subscribed (legacy)", "shopify_has_accepted_marketing": True,
            "klaviyo_total_sum_revenue_placed_order": 0, "klaviyo_source_relation": None, **nothing,
            "shopify_lifetime_count_orders": 1, "shopify_lifetime_total_amount": 50,
        },
    }  # fmt: skip
    customers = {row["email"]: row for row in hand.rows("shopify_holistic_reporting__customer_enhanced")}
    assert customers.keys() == wanted.keys()
    for email, row in wanted.items():
        assert {name: plain(customers[email][name]) for name in row} == row, email


@pytest.mark.soak
def test_without_payments_customers_have_spent_what_their_orders_cost(hand: Built, tmp_path: Path) -> None:
    """The shop's other tables are missing, too, and the ids of its orders are text."""
    bare = hand.copy(tmp_path / "bare")
    for table in by_hand.SHOP.keys() - {"order", "customer", "order_line", "order_line_refund"}:
        bare.write(f'DROP TABLE klaviyo.shop."{table}"')
    bare.write("CREATE TABLE klaviyo.shop.texts AS SELECT * REPLACE ('gid-' || id AS id) FROM klaviyo.shop.\"order\"")
    bare.write('DROP TABLE klaviyo.shop."order"')
    bare.write('ALTER TABLE klaviyo.shop.texts RENAME TO "order"')
    bare.write(
        "CREATE TABLE klaviyo.shop.l AS SELECT * REPLACE ('gid-' || order_id AS order_id) FROM klaviyo.shop.order_line"
    )
    bare.write("DROP TABLE klaviyo.shop.order_line")
    bare.write("ALTER TABLE klaviyo.shop.l RENAME TO order_line")
    results = bare.build(*OF_THE_SHOP)
    assert not [result for result in results.values() if result.is_failure]
    (ada,) = (row for row in bare.rows(OF_THE_SHOP[1]) if row["email"] == "ada@acme.example")
    amounts = ("spent", "refunded", "net", "amount")
    assert [plain(ada[f"shopify_lifetime_total_{name}"]) for name in amounts] == [150, 16.5, 133.5, 133.5]
    orders = {row["order_id"]: plain(row["shipping_cost"]) for row in bare.rows(OF_THE_SHOP[0])}
    assert orders == {"gid-1": 0, "gid-2": 3.5, "gid-3": 0, "gid-4": 0, "gid-7": 0, "gid-8": 0}


def test_the_query_of_the_documents(hand: Built) -> None:
    (statement,) = blocks(DOCUMENTS / "models.md", "sql")
    assert hand.warehouse.query(statement.replace("klaviyo_models.", "klaviyo.klaviyo_models.")), "of this file's name"


def test_the_report_says_what_happened(hand: Built) -> None:
    with hand.warehouse.session(writes=False) as session:
        figures = read_figures(session, "klaviyo_models", of_days(dt.date(2026, 3, 1), dt.date(2026, 3, 22)))
    names = ("email", "text", "opened", "clicked", "revenue", "all_revenue", "joined", "left", "complained")
    assert {name: figures.total[name] for name in names} == {
        "email": 4,
        "text": 2,
        "opened": 3,
        "clicked": 1,
        "revenue": 250,
        "all_revenue": 285.5,
        "joined": 0,
        "left": 2,
        "complained": 1,
    }
    assert figures.total["open_rate"] == 0.75 and figures.total["revenue_per_recipient"] == 250 / 6
    assert [(row["name"], row["revenue"], row["email"]) for row in figures.campaigns] == [
        ("Spring", 180, 2),
        ("Summer", 0, 2),
    ]
    assert [(row["name"], row["revenue"], row["text"]) for row in figures.flows] == [("Welcome", 70, 2)]
    days = {row["name"].day: row["all_revenue"] for row in figures.steps}
    assert days == dict.fromkeys(range(1, 22), 0) | {1: 100, 2: 80, 14: 10, 20: 25.5, 21: 70}
    assert {tile.change.text for tile in tiles(figures, "")} == {"no period before"}


class Outline(HTMLParser):
    """A page as those find their way who can't see it. Fails if an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.labels: dict[str, list[str]] = {"figure": [], "table": []}
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "figure":
            self.labels[tag].append(str(dict(attrs)["aria-label"]))
        if tag == "table":
            box = self.open[-1][1]
            assert (box["class"], box["tabindex"], box["role"]) == ("scroll", "0", "region")
            self.labels[tag].append(str(box["aria-label"]))
        if tag != "meta":
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of SVG; nothing has to close it."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag


def test_the_report_compares_with_the_period_before(hand: Built) -> None:
    """Ten days of March with the ten before them; eleven would begin before there was an event."""
    begin, end = dt.date(2026, 3, 11), dt.date(2026, 3, 21)
    with hand.warehouse.session(writes=False) as session:
        figures = read_figures(session, "klaviyo_models", of_days(begin, end))
        eleven = read_figures(session, "klaviyo_models", of_days(begin, dt.date(2026, 3, 22)))
        ordered = read_figures(session, "klaviyo_models", of_days(begin, end), orders=["Cancelled order", "x"])
    assert [(tile.label, tile.value, tile.change.direction, tile.change.text) for tile in tiles(figures, "EUR")] == [
        ("messages received", "1", "down", "down 75.0%, from 4"),
        ("e-mails opened", "-", "", "period before: 75.0%"),
        ("e-mails, texts clicked", "0.0%", "down", "down 25.0 points, from 25.0%"),
        ("attributed revenue", "€0", "down", "down 100.0%, from €180"),
        ("revenue per recipient", "€0.00", "down", "down 100.0%, from €45.00"),
        ("subscribers gained", "-1", "", "as before, -1"),
        ("e-mails bounced", "-", "", "period before: 0.0%"),
    ]
    assert eleven.before is None
    assert ordered.before and (ordered.before["all_revenue"], ordered.before["revenue"]) == (80, 0)


def test_the_report_names_what_there_is(hand: Built, tmp_path: Path) -> None:
    """Some days of ninety, a deleted campaign by its name, the account's, if it is not hashed; what was dropped did
    not bounce."""
    built = hand.copy(tmp_path / "report")
    observed = [("a", "USD", "Acme"), ("a", "DKK", "Acme & <Søn>"), ("b", None, f"{DIGEST}0f")]
    for number, (id, currency, name) in enumerate(observed):
        seen = by_hand.SYNCED + dt.timedelta(days=number)
        told = {"preferred_currency": currency, "contact_information_organization_name": name}
        put(built.warehouse, "account_history", [{"id": id, "observed_at": seen, **told}], seen)
    built.write("UPDATE klaviyo.klaviyo.campaign SET _fivetran_deleted = CASE id WHEN 'c2' THEN true END")
    events = "klaviyo.klaviyo_models.klaviyo__events"
    built.write(f"UPDATE {events} SET campaign_name = NULL WHERE last_touch_campaign_id = 'c2'")
    built.write(f"UPDATE {events} SET last_touch_campaign_id = 'c9', campaign_name = NULL WHERE event_id = 'e18'")
    for type in ("Bounced Email", "Dropped Email", "Received WhatsApp"):
        another = f"SELECT * REPLACE ('{type}' AS type, '{type}' AS event_id) FROM {events} WHERE event_id = 'e25'"
        built.write(f"INSERT INTO {events} {another}")

    def content(settings: Settings) -> Content:
        with built.warehouse.session(writes=False) as session:
            until = dt.date(2026, 4, 1)
            period = of_days(until - dt.timedelta(days=90), until)
            return read_content(session, "klaviyo_models", period, settings, MARTS, least_recipients=1)

    found = content(built.settings)
    period = found.figures.period
    assert (period.since, period.last_day) == (dt.date(2026, 3, 1), dt.date(2026, 3, 21))
    assert [row["name"] for row in found.figures.campaigns] == ["Spring", "Unknown campaign c9", "Summer (deleted)"]
    assert found.figures.total["bounce_rate"] == 1 / 5
    assert (found.figures.total["whatsapp"], found.figures.total["sent"]) == (1, 4 + 2 + 1)
    assert found.sections.flows and [flow.flow for flow in found.sections.flows] == ["Welcome"]
    page = render(found)
    assert "<h1><bdi>Acme &amp; &lt;Søn&gt;: campaign report</bdi></h1>" in page and page.count("<svg") == 6
    assert "<script" not in page and not re.search(r"(src|href)=\"?http", page)
    outline = Outline(page)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(outline.headings)), "none is left out"
    assert len(outline.labels["figure"]) == 6 and len(outline.labels["table"]) == 6 + 2 + 5
    assert len({*outline.labels["figure"], *outline.labels["table"]}) == 6 + 6 + 2 + 5, "each is called otherwise"
    assert "2026-03-01 to 2026-03-21" in page and "in DKK" in page and "<b>DKK 250</b>" in page
    assert "| attributed revenue | DKK 250 | no period before |" in summary(found)
    assert "2026-03-01 to 2026-03-21" in summary(found) and found.notes == []

    nowhere = content(Settings(model_variables={"klaviyo_sources": [{"schema": "nowhere"}]}))
    assert (nowhere.account.currency, nowhere.title) == ("", "Campaign report")
    some = Settings(model_variables={"klaviyo_sources": [{"schema": "dk"}, {}]})
    assert account_schemas(some) == ["dk", "klaviyo"]


def test_the_report_of_an_account_without_events_and_of_one_with_a_day(hand: Built, tmp_path: Path) -> None:
    built = hand.copy(tmp_path / "small")

    def content(period: Period) -> Content:
        with built.warehouse.session(writes=False) as session:
            return read_content(session, "klaviyo_models", period, built.settings, MARTS, least_recipients=1)

    starts = {"klaviyo__events": "occurred_on", "cohorts": "cohort_month", "deliverability": "week_start"}
    for model in ("klaviyo__events", *MARTS):
        if model != "variation_results":
            column = starts.get(model, "period_start")
            built.write(f"DELETE FROM klaviyo.klaviyo_models.{model} WHERE {column} > '2026-03-01'")
    one = content(of_days(dt.date(2026, 1, 1), dt.date(2026, 4, 1)))
    assert (one.figures.period.since, one.figures.period.last_day) == (dt.date(2026, 3, 1), dt.date(2026, 3, 1))
    assert [row["name"] for row in one.figures.steps] == [dt.date(2026, 3, 1)]
    assert one.sections.channels and [(each.revenue, each.share) for each in one.sections.channels] == [(100, 1)]
    assert one.sections.subjects and [line.subject for line in one.sections.subjects.best] == ["Hello"]
    assert one.sections.cohorts and [(each.customers, each.retention) for each in one.sections.cohorts] == [(3, ())]
    assert render(one).count("no period before") == 7

    for model in ("klaviyo__events", *MARTS):
        built.write(f"DELETE FROM klaviyo.klaviyo_models.{model}")
    none = content(of_days(dt.date(2026, 1, 1), dt.date(2026, 4, 1)))
    page = render(none)
    assert "2026-01-01 to 2026-03-31" in page and page.count("no period before") == 7
    assert page.count("None in this period.") == 6 + 2 + 5, "charts, rankings, sections"


def test_the_report_does_without_marts(hand: Built, tmp_path: Path) -> None:
    """Those that are turned off do not count, though they are there from before; one may be missing."""
    built = hand.copy(tmp_path / "without")
    built.write("DROP TABLE klaviyo.klaviyo_models.message_performance")
    off = Settings(duckdb_path=built.settings.duckdb_path, model_variables={"klaviyo__marts": False})
    period = of_days(dt.date(2026, 3, 1), dt.date(2026, 4, 1))
    with built.warehouse.session(writes=False) as session:
        without = read_content(session, "klaviyo_models", period, off, {model.name for model in chosen_models(off)})
        partly = read_content(session, "klaviyo_models", period, built.settings, MARTS)
    assert without.sections == Sections(missing=MARTS) and without.figures == partly.figures
    page = render(without)
    assert "the marts are turned off (klaviyo__marts: false in model_variables)" in page
    assert "Subject lines</h2>" not in page and "Campaigns with the most revenue</h2>" in page
    assert (partly.sections.subjects, partly.sections.flows) == (None, None) and partly.sections.cohorts
    (note,) = partly.notes
    assert "not there: klaviyo_models.message_performance. klaviyo_models_job makes them" in note
    assert note in summary(partly)


def test_names_of_all_kinds_are_shown_as_they_are(hand: Built) -> None:
    """HTML, what a renderer can't bear, Arabic, emoji, and a name as long as a book."""
    with hand.warehouse.session(writes=False) as session:
        period = of_days(dt.date(2026, 3, 1), dt.date(2026, 3, 22))
        found = read_content(session, "klaviyo_models", period, hand.settings, MARTS, least_recipients=1)
    codes = (*range(9), 0xB, 0xC, *range(0xE, 0x20), 0x7F, 0x9B, 0xD83D, 0xDFFF, 0xFFFE, 0xFFFF)
    names = [
        "Spring\u000bSale", "".join(map(chr, codes)), "Søm\tmer 😀\n\u00a0\ufffd", "</td><script>alert(1)</script>",
        "a \\| b | c", "\" onload='x'", "تخفيضات الربيع", "👩‍👩‍👧‍👦", "long" * 9999, "",
    ]  # fmt: skip
    figures = replace(found.figures, campaigns=[{**found.figures.campaigns[0], "name": name} for name in names])
    subjects = found.sections.subjects
    flows = found.sections.flows
    assert subjects and flows
    sections = replace(
        found.sections,
        subjects=replace(subjects, best=[replace(subjects.best[0], subject=name, campaign=name) for name in names]),
        flows=[replace(flows[0], flow=name, messages=[replace(flows[0].messages[0], name=name)]) for name in names],
    )
    nasty = replace(found, title="\ud800 & <co>", figures=figures, sections=sections)
    page = render(nasty)
    for text in (page, summary(nasty)):
        assert "Spring\ufffdSale" in text and "Søm\tmer 😀" in text and text.encode() and len(text) < 300_000
        assert not {chr(code) for code in codes} & set(text) and "long" * 30 not in text
    assert "<script" not in page and "&lt;script&gt;" in page and "onload='x'" not in page
    assert page.count("<bdi>تخفيضات الربيع</bdi>") == 5 and page.count("👩‍👩‍👧‍👦") == 5
    assert "| a \\\\\\| b \\| c |" in summary(nasty)


def test_a_week_by_run_config(hand: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.models.report.page.charts.drawn", lambda found, steps: ["<svg>"] * len(found))
    job = build_definitions(hand.settings).resolve_job_def("klaviyo_models_job")

    def made(**config: Any) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            asset_selection=[model_key(hand.settings, "campaign_report")],
            run_config={**QUIET, "ops": {"klaviyo_models__campaign_report": {"config": config}}},
            raise_on_error=False,
        )

    usual = hand.folder / "klaviyo_campaign_report.html"
    before = usual.read_bytes()
    result = made(period="week", first_day="2026-03-09", least_recipients=2)
    assert result.success, failures(result)
    page = (hand.folder / "klaviyo_campaign_report_week_2026-03-09.html").read_text()
    assert "2026-03-09 to 2026-03-15, days in UTC, compared with 2026-03-02 to 2026-03-08." in page
    assert "to 2 people or more" in page and usual.read_bytes() == before
    wrong = made(period="week", first_day="2026-03-11")
    assert "first_day: a week begins on a Monday: 2026-03-09 or 2026-03-16" in str(failures(wrong))


def test_a_renderer_that_dies_takes_nothing_with_it(
    hand: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "renderer.py"
    program.write_text("import os, sys\nprint('native code panicked', file=sys.stderr, flush=True)\nos.abort()\n")
    monkeypatch.setattr("klaviyo_assets.models.report.svg.__file__", str(program))
    definitions = build_definitions(hand.settings)
    march = {"period": "month", "first_day": "2026-03-01"}
    result = definitions.resolve_job_def("klaviyo_models_job").execute_in_process(
        asset_selection=[model_key(hand.settings, "campaign_report")],
        run_config={**QUIET, "ops": {"klaviyo_models__campaign_report": {"config": march}}},
        raise_on_error=False,
    )
    assert not result.success
    assert "The charts could not be drawn: the renderer ended with -6: native code panicked." in str(failures(result))


# As assets


def test_what_another_dbt_reads_from_the_environment_is_not_for_ours(hand: Built) -> None:
    """The variables of `run` would fail our dbt, or have it make empty models as a success."""
    assert len(hand.rows("klaviyo__events")) == len(by_hand.EVENTS)


def test_a_terminal_shows_the_steps_of_the_job(hand: Built) -> None:
    shown = (hand.folder / SHOWN).read_text()
    assert "klaviyo_models_job" in shown and "klaviyo_models campaign_report" in shown


def test_the_commands_tell_what_was_built(hand: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = (hand.folder / PRINTED).read_text()
    page = hand.folder / "klaviyo_campaign_report.html"
    assert re.search(r"^klaviyo_models/klaviyo__events +30 rows$", printed, re.MULTILINE)
    assert (found := re.search(r"^(\d+) of (\d+) tests passed\.$", printed, re.MULTILINE)) and found[1] == found[
        2
    ] != "0"
    assert printed.endswith(f"The report is {page}\n")

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with environment_of(hand):
        assert CliRunner().invoke(main, ["report"]).output == f"{page}\n" and opened == []
        assert CliRunner().invoke(main, ["report", "--open"]).exit_code == 0 and opened == [page.as_uri()]
        monkeypatch.setattr("klaviyo_assets.models.project.is_installed", lambda kind: False)
        assert "pip install 'klaviyo-assets[models]'" in CliRunner().invoke(main, ["models"]).output
        monkeypatch.setenv("KLAVIYO_MODELS", "false")
        off = CliRunner().invoke(main, ["models"])
    assert off.exit_code == 1 and "set `models: true`" in off.output


def test_a_run_materializes_every_model_and_runs_every_test(run: tuple[Built, dg.ExecuteInProcessResult]) -> None:
    built, result = run
    assert result.success, failures(result)
    found = {
        event.step_materialization_data.materialization.asset_key: event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
    }
    models = chosen_models(built.settings)
    report = model_key(built.settings, "campaign_report")
    assert found.keys() == {model_key(built.settings, model.name) for model in models} | {report}
    events = found[model_key(built.settings, "klaviyo__events")]
    assert events.metadata["dagster/row_count"].value == 30
    columns = {column.name: column for column in events.metadata["dagster/column_schema"].value.columns}  # type: ignore
    assert columns["occurred_at"].type == "TIMESTAMP" and columns["occurred_at"].description
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys((CHECK, *(name for model in models for name in model.checks)), True)
    page = Path(str(found[report].metadata["path"].value))
    assert page == built.folder / "klaviyo_campaign_report.html"
    assert page.read_text().count("None in this period.") > 6, "the events are of March, as if nobody had synced since"
    assert "messages received" in str(found[report].metadata["preview"].value)


def test_every_column_tells_what_it_is_made_of(run: tuple[Built, dg.ExecuteInProcessResult]) -> None:
    built, result = run
    lineage: dict[str, dict[str, set[str]]] = {}
    descriptions: dict[str, dict[str, str | None]] = {}
    for materialized in result.get_asset_materialization_events():
        materialization = materialized.step_materialization_data.materialization
        if "dagster/column_lineage" in materialization.metadata:
            model = materialization.asset_key.path[-1]
            found: Any = materialization.metadata["dagster/column_lineage"].value
            lineage[model] = {
                column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
                for column, deps in found.deps_by_column.items()
            }
            schema: Any = materialization.metadata["dagster/column_schema"].value
            descriptions[model] = {column.name: column.description for column in schema.columns}
    events, people = "klaviyo_models/klaviyo__events", "klaviyo_models/klaviyo__person_campaign_flow"
    orders = "klaviyo_models/shopify_holistic_reporting__orders_attribution"
    read = {
        ("klaviyo__events", "numeric_value"): {"klaviyo/event.property_value"},
        ("klaviyo__events", "touch_id"): {"klaviyo/event.campaign_id", "klaviyo/event.flow_id"},
        ("klaviyo__events", "last_touch_at"): {"klaviyo/event.datetime", "klaviyo/event.timestamp"},
        ("klaviyo__events", "campaign_name"): {"klaviyo/campaign.name", "klaviyo/campaign.subject"},
        ("klaviyo__events", "integration_name"): {"klaviyo/metric.integration_name"},
        ("klaviyo__person_campaign_flow", "sum_revenue_placed_order"): {f"{events}.type", f"{events}.numeric_value"},
        ("klaviyo__campaigns", "campaign_id"): {"klaviyo/campaign.id"},
        ("klaviyo__campaigns", "unique_count_placed_order"): {f"{people}.count_placed_order", f"{people}.person_id"},
        ("klaviyo__flows", "first_event_at"): {f"{people}.first_event_at"},
        ("klaviyo__persons", "full_name"): {"klaviyo/person.first_name", "klaviyo/person.last_name"},
        ("klaviyo__persons", "count_total_flows"): {f"{people}.last_touch_flow_id"},
        ("shopify_holistic_reporting__orders_attribution", "order_adjusted_total"): {
            "shop/order.total_price",
            "shop/order_adjustment.amount",
            "shop/order_adjustment.tax_amount",
            "shop/order_line_refund.subtotal",
            "shop/order_line_refund.total_tax",
        },
        ("shopify_holistic_reporting__daily_customer_metrics", "email"): {f"{events}.person_email", f"{orders}.email"},
    }
    assert {(model, column): lineage[model][column] for model, column in read} == read
    assert "Made of event.property_value." in str(descriptions["klaviyo__events"]["numeric_value"])
    for model in FINALS:
        constant = descriptions[model].keys() - lineage[model].keys()
        assert constant == ({"source_relation"} if model != "klaviyo__person_campaign_flow" else set()), model

    with built.warehouse.connect() as connection:
        columns = connection.execute(
            "SELECT schema_name || '/' || table_name || '.' || column_name FROM duckdb_columns()"
        ).fetchall()
    named = {dep for columns in lineage.values() for deps in columns.values() for dep in deps}
    assert named <= {name for (name,) in columns}
    assets = build_definitions(built.settings).resolve_asset_graph().get_all_asset_keys()
    assert {tuple(dep.split(".")[0].split("/")) for dep in named if not dep.startswith("shop/")} <= {
        tuple(key.path) for key in assets
    }


def test_a_model_whose_sql_is_not_understood_has_no_lineage(hand: Built) -> None:
    model = next(model for model in read_project() if model.name == "klaviyo__flows")
    relation = '"klaviyo"."klaviyo_models"."klaviyo__flows"'
    result = Result("model", model.name, "success", "", 1.0, 0, relation, "select from where")
    with hand.warehouse.session(writes=False) as session:
        described = describe(session, "klaviyo_models", [model], [result], {}, LOG)
    assert described[model.name]["dagster/row_count"] == 1
    assert "dagster/column_lineage" not in described[model.name]


def test_the_assets_are_those_of_the_dbt_project(hand: Built) -> None:
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((hand.cache / "partial_parse.msgpack").read_bytes())
    models = {id: node for id, node in manifest.nodes.items() if node.resource_type == "model"}

    def upstream(id: str) -> set[str]:
        """What a model reads, itself or through views."""
        direct = set(models[id].depends_on_nodes)
        views = {other for other in direct if other in models and models[other].config.materialized == "view"}
        return (direct - views).union(*map(upstream, views))

    parsed = {}
    for id, node in models.items():
        if node.config.materialized != "view":
            reads = {other.split(".")[-1] for other in upstream(id) if other.startswith("model.")}
            parsed[node.name] = (reads, {tuple(o.split(".")[2:]) for o in upstream(id) if o.startswith("source.")})
    assert {model.name: (set(model.reads), set(model.sources)) for model in read_project()} == parsed
    tests = {node.name for node in manifest.nodes.values() if node.resource_type == "test"}
    assert {name for model in read_project() for name in model.checks} == tests


def test_every_column_of_the_finals_is_described(hand: Built) -> None:
    described = {model.name: model.columns for model in read_project()}
    for model in (*FINALS, *OF_THE_SHOP):
        columns = set(hand.rows(model)[0])
        assert described[model].keys() <= columns, "a column that is described does not exist"
        plain_columns = {name for name in columns if not re.search(r"(^|_)(count|sum_revenue)_", name)}
        assert plain_columns <= described[model].keys(), model


# Changes


@pytest.mark.soak
def test_an_incremental_build_touches_only_people_with_news_and_ends_as_a_full_one(hand: Built, tmp_path: Path) -> None:
    changed = hand.copy(tmp_path / "changed")
    later, earlier = by_hand.SYNCED + dt.timedelta(days=1), by_hand.SYNCED - dt.timedelta(hours=3)
    events = {given["id"]: given for given in by_hand.EVENTS}
    # Each has news of one kind, but for an event of a deleted profile that has none.
    changed.write(
        "INSERT INTO klaviyo.klaviyo.event SELECT * REPLACE ('e31' AS id) FROM klaviyo.klaviyo.event WHERE id = 'e29'"
    )
    changed.write(
        "INSERT INTO klaviyo.klaviyo_models.klaviyo__events "
        "SELECT * REPLACE ('e31' AS event_id, 'key' AS unique_event_id) "
        "FROM klaviyo.klaviyo_models.klaviyo__events WHERE event_id = 'e29'"
    )
    changed.write("UPDATE klaviyo.klaviyo_models.klaviyo__events SET uuid = 'untouched'")
    # Ada has another address.
    put(changed.warehouse, "person", [{**by_hand.PEOPLE[0], "email": "new@acme.example"}], later)
    # What Bob did is credited at last, and an event turns out to be somebody else's.
    put(changed.warehouse, "event", [{**events["e22"], **by_hand.credit("e20")}], later)
    put(changed.warehouse, "event", [{**events["e24"], "person_id": "p4"}], later)
    # A backfill that began before the last sync brings the event that another is credited to.
    put(changed.warehouse, "event", [event("e99", "03-13 09:00", "p3", "Opened Email", campaign_id="c2")], earlier)
    changed.write("UPDATE klaviyo.klaviyo.event SET _fivetran_deleted = true WHERE id = 'e29'")

    assert not [result for result in changed.build(*FINALS).values() if result.is_failure]
    incremental = {model: changed.rows(model) for model in FINALS}
    rows = {row["event_id"]: row for row in incremental["klaviyo__events"]}
    assert rows.keys() == (events.keys() | {"e31", "e99"}) - {"e29"}
    assert {id for id, row in rows.items() if row["uuid"] == "untouched"} == {"e31"}
    assert (rows["e22"]["last_touch_campaign_id"], rows["e24"]["person_id"]) == ("c2", "p4")
    assert (rows["e30"]["last_touch_campaign_id"], rows["e30"]["campaign_name"]) == ("c2", "Summer")
    assert rows["e01"]["person_email"] == "new@acme.example"

    results = changed.build(*FINALS, full_refresh=True, unit_tests=True)
    assert not [result for result in results.values() if result.is_failure]
    assert {result.name for result in results.values() if result.kind == "unit_test"} == {
        "klaviyo_names_the_event_that_earned_the_credit",
        "the_last_touch_of_the_session_earns_the_credit",
    }
    for model in FINALS:
        assert told(incremental[model]) == told(changed.rows(model)), model


def told(rows: list[dict[str, Any]]) -> list[str]:
    """What rows say, in an order of its own, without what the test has written into them."""
    marks = ("uuid", "unique_event_id")
    return sorted(repr({name: value for name, value in row.items() if name not in marks}) for row in rows)


@pytest.mark.soak
def test_accounts_side_by_side_with_sessions_and_columns_of_their_own(
    hand: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second account hides what it can, in every way that there is."""
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt")
    both = hand.copy(tmp_path / "both")
    eu = "Klaviyo EU"
    masked = Settings(
        blocked_columns={"event": ["timestamp"], "person": ["city"]},
        hashed_columns={"event": ["property_value"], "person": ["email", "last_event_date"], "campaign": ["archived"]},
    )
    second = DuckDBWarehouse(database=both.settings.duckdb_path, schema_name=eu, max_dynamic_columns=1)
    put(
        second,
        "event",
        [
            event("e02", "03-01 10:00", "p1", "Opened Email", campaign_id="c9", property_colour="green"),
            event("e08", "03-06 10:00", "p1", "Placed Order", **worth(7), property_size="XL"),
        ],
        settings=masked,
    )
    ada = {"id": "p1", "email": "ada@acme.example", "city": "Paris", "last_event_date": at("03-06 10:00")}
    put(second, "person", [ada], settings=masked)
    put(second, "campaign", [{"id": "c9", "name": "Herbst", "archived": True}], settings=masked)
    red_fails = "case when colour = 'red' then error('no red') else upper(colour) end"
    colour = {"name": "property_colour", "alias": "colour", "transform_sql": red_fails}
    more = {
        "klaviyo_sources": [{"schema": "klaviyo", "name": "dk"}, {"database": "klaviyo", "schema": eu}],
        "using_native_attribution": False,
        "klaviyo__event_pass_through_columns": [colour],
        "klaviyo__count_metrics": ["Placed Order"],
    }
    results = both.build("+klaviyo__persons", schema="of all", more=more)
    assert not [result for result in results.values() if result.is_failure]
    rows = {(row["source_relation"], row["event_id"]): row for row in both.rows("klaviyo__events", schema="of all")}
    assert len(rows) == 30 + 2
    home, eu = "klaviyo.klaviyo", f"klaviyo.{eu}"
    order = rows[eu, "e08"]
    assert (order["last_touch_campaign_id"], order["last_touch_at"]) == ("c9", at("03-01 10:00"))
    assert rows[eu, "e02"]["colour"] == "GREEN"
    assert (order["occurred_at"], order["numeric_value"], order["campaign_name"]) == (at("03-06 10:00"), None, "Herbst")
    assert order["person_email"].startswith("hmac-sha256:") and order["person_city"] is None
    # By sessions, what Klaviyo credits to nothing goes to the last touch.
    assert rows[home, "e09"]["last_touch_campaign_id"] == "c1"
    assert rows[home, "e10"]["last_touch_campaign_id"] is None
    names = ["source_relation", "person_id", "total_count_placed_order", "last_event_date"]
    assert sorted(tuple(row.values()) for row in both.rows("klaviyo__persons", names, schema="of all")) == [
        (eu, "p1", 1, None),
        (home, "p1", 3, None),
        (home, "p2", 1, None),
        (home, "p3", 1, None),
    ]

    # A build that fails half way, after the old rows of Ada were deleted, leaves everything as it was.
    put(second, "event", [event("e77", "03-07 10:00", "p1", "Active on Site", property_colour="red")], settings=masked)
    before = both.rows("klaviyo__events", schema="of all")
    results = both.build("klaviyo__events", schema="of all", more=more)
    assert results["klaviyo__events"].status == "error" and "red" in results["klaviyo__events"].message
    after = both.rows("klaviyo__events", schema="of all")
    assert sorted(map(repr, after)) == sorted(map(repr, before))


@pytest.mark.soak
def test_an_incremental_build_follows_what_others_are_credited_with_and_columns_that_grow(
    hand: Built, tmp_path: Path
) -> None:
    """P2, P3 and P4 ordered after what P1 did. The other account has the names of Fivetran without renaming."""
    built = Built(tmp_path / "data", hand.cache)
    other = DuckDBWarehouse(database=built.settings.duckdb_path, schema_name="Other")
    touches = {id: event(id, "03-01 09:00", "P1", "Opened Email", campaign_id="C1") for id in ("t1", "t2", "t3")}
    orders = [
        event(f"c{number}", "03-09 10:00", f"P{number + 1}", "Placed Order", **worth(7), **old_credit(f"t{number}"))
        for number in (1, 2, 3)
    ]
    put(built.warehouse, "event", [touches["t1"], touches["t3"], *orders[:2], {**orders[2], "property_size": 4}])
    put(built.warehouse, "campaign", [{"id": "C1", "name": "One"}, {"id": "C2", "name": "Two"}])
    put(other, "event", [touches["t1"], orders[0]])
    for name in ("Attribution", "Value"):
        built.write(f'ALTER TABLE klaviyo."Other".event RENAME property_{name} TO "property{name}"')
    size = {"name": "property_Size", "alias": "next_size", "transform_sql": "try_cast(next_size as double) + 1"}
    more = {
        "klaviyo_union_schemas": ["klaviyo", "Other"],
        "klaviyo__event_pass_through_columns": ["property_size", size, "property_weight"],
    }

    def rebuilt(**options: Any) -> dict[tuple[str, str], dict[str, Any]]:
        results = built.build("klaviyo__events", more=more, **options)
        assert not [result for result in results.values() if result.is_failure]
        return {(row["source_relation"], row["event_id"]): row for row in built.rows("klaviyo__events")}

    def told(rows: dict[tuple[str, str], dict[str, Any]], column: str) -> list[Any]:
        return [plain(rows["klaviyo", id][column]) for id in ("c1", "c2", "c3")]

    rows = rebuilt()
    assert told(rows, "campaign_name") == ["One", None, "One"]
    assert told(rows, "property_size") == [None, None, 4] and told(rows, "next_size") == [None, None, 5]
    assert told(rows, "property_weight") == [None] * 3
    there = rows["other", "c1"]
    assert (there["last_touch_campaign_id"], plain(there["numeric_value"])) == ("C1", 7)

    later = by_hand.SYNCED + dt.timedelta(days=1)
    put(built.warehouse, "event", [{**touches["t1"], "campaign_id": "C2"}, touches["t2"]], later)
    built.write("UPDATE klaviyo.klaviyo.event SET _fivetran_deleted = true WHERE id = 't3'")
    rows = rebuilt()
    assert told(rows, "campaign_name") == ["Two", "One", None]

    grown = {**orders[0], "property_size": "XL", "property_weight": 0.5}
    put(built.warehouse, "event", [grown], later + dt.timedelta(days=1))
    rows = rebuilt()
    assert told(rows, "property_size") == ["XL", None, "4"] and told(rows, "next_size") == [None, None, 5]
    assert told(rows, "property_weight") == [0.5, None, None]
    assert rebuilt(full_refresh=True) == rows


@pytest.mark.soak
def test_keys_are_those_of_dbt_klaviyo(hand: Built, tmp_path: Path) -> None:
    """Each was made by dbt_klaviyo 1.4.1 from the same rows in a database called warehouse."""
    built = hand.copy(tmp_path / "keys")
    assert built.build("+klaviyo__flows", more={"klaviyo__source_relation": "warehouse.klaviyo"})
    keys = {row["event_id"]: (row["source_relation"], row["unique_event_id"]) for row in built.rows("klaviyo__events")}
    assert len(keys) == len(by_hand.EVENTS), "the rows of the former name are gone"
    assert keys["e25"] == ("warehouse.klaviyo", "b38b22dba6b6bf25469cd3e106c3df29")
    assert keys["e30"] == ("warehouse.klaviyo", "28004b352a78dcaa38c0d906baf2285b")
    (flow,) = built.rows("klaviyo__flows")
    assert (flow["variation_id"], flow["flow_variation_key"]) == (None, "e6adb728995d24737d22d5450abeedab")


def test_columns_that_the_models_need_are_not_hidden_unnoticed(tmp_path: Path) -> None:
    settings = Settings(
        duckdb_path=str(tmp_path / "w.duckdb"),
        blocked_columns={"event": ["person_id"], "metric": ["name"]},
        hashed_columns={"event": ["flow_id", "property_attribution"]},
    )
    result = (
        build_definitions(settings)
        .resolve_job_def("klaviyo_models_job")
        .execute_in_process(run_config=QUIET, raise_on_error=False)
    )
    named = "event.flow_id (hashed_columns), event.person_id (blocked_columns), event.type (blocked_columns)"
    assert not result.success and named in str(failures(result))
    assert dbt_variables(settings)["using_native_attribution"] is False


def test_what_is_no_model_is_never_replaced(hand: Built, tmp_path: Path) -> None:
    """A table and a view of the user's with names of models; those that the models are stay ours."""
    own = hand.copy(tmp_path / "own")
    for statement in (
        "ALTER TABLE klaviyo.klaviyo_models.klaviyo__flows DROP COLUMN status",
        "ALTER TABLE klaviyo.klaviyo_models.cohorts RENAME TO kept",
        "CREATE TABLE klaviyo.klaviyo_models.cohorts AS SELECT 'precious' AS note, NULL AS cohort_month",
        "DROP TABLE klaviyo.klaviyo_models.customers",
        "CREATE VIEW klaviyo.klaviyo_models.customers AS SELECT 1 AS mine",
    ):
        own.write(statement)
    job = build_definitions(own.settings).resolve_job_def("klaviyo_models_job")
    result = job.execute_in_process(run_config=QUIET, raise_on_error=False)
    assert not result.success
    assert "none of these models: klaviyo_models.cohorts, klaviyo_models.customers. Rename it" in str(failures(result))
    assert own.rows("cohorts") == [{"note": "precious", "cohort_month": None}] and own.rows("customers") == [
        {"mine": 1}
    ]


def test_metrics_of_any_name_are_counted(hand: Built, tmp_path: Path) -> None:
    own = hand.copy(tmp_path / "own")
    names = ["🛒 Checkout", "Ølkøb 100 % {{ 'x' }}", 'Bob\'s "cart" \\ n']
    put(own.warehouse, "event", [event(f"any{n}", "03-09 10:00", "p3", name) for n, name in enumerate(names)])
    more = {"klaviyo__count_metrics": names, "klaviyo__sum_revenue_metrics": []}
    results = own.build("+klaviyo__person_campaign_flow", schema="any", more=more)
    assert [result.message for result in results.values() if result.is_failure] == []
    rows = own.rows("klaviyo__person_campaign_flow", schema="any")
    counts = [name for name in rows[0] if name.startswith("count_")]
    assert [sum(row[name] for row in rows) for name in counts] == [1, 1, 1]


def test_what_dbt_objects_to_is_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: klaviyo_models\nconfig-version: 2\nprofile: nobody\n")
    monkeypatch.setattr("klaviyo_assets.models.run.PROJECT", tmp_path)
    with pytest.raises(DbtFailed, match="nobody"):
        Built(tmp_path, tmp_path / "cache").build()
