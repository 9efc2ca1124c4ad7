"""The marts say what the account of `marts_by_hand` holds, counted by hand."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.project import TOLERANCE_VARIABLE, is_installed, read_project
from klaviyo_assets.models.report.figures import read_figures
from klaviyo_assets.models.report.period import Period, of_days, of_month
from klaviyo_assets.models.report.sections import (
    MARTS,
    Channel,
    Cohort,
    FlowMessage,
    FlowMessages,
    Provider,
    Reached,
    Sections,
    SubjectLine,
    SubjectLines,
    read_sections,
)
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.models.unexplained import CHECK, NUMBERS, check_numbers
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.conftest import QUIET
from klaviyo_assets_tests.documents import DOCUMENTS, blocks
from klaviyo_assets_tests.models import by_hand, marts_by_hand, marts_expected
from klaviyo_assets_tests.models.by_hand import at, put
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.servers import MODELS, plain
from klaviyo_assets_tests.warehouse.databases import postgres_database

LOG = logging.getLogger(__name__)
GOOD = ("success", "pass", "no-op")

MARK = "*"
"""End of what the first build wrote, and the second one has to leave alone."""


@dataclass(frozen=True)
class Account:
    """An account whose marts are built. folder: where its warehouse is, if it is a file, and dbt's cache."""

    settings: Settings
    folder: Path

    def rows(self, model: str) -> list[dict[str, Any]]:
        with warehouse_of(self.settings).session(writes=False) as session:
            names = list(session.columns(MODELS, model))
            chosen = ", ".join(f'"{name}"' for name in names)
            found = session.sql(f"SELECT {chosen} FROM {session.name(MODELS, model)}")
            return [{name: plain(name, value) for name, value in zip(names, row, strict=True)} for row in found]


def build(settings: Settings, cache: Path, *select: str, unit_tests: bool = False) -> None:
    """Build models of an account; check that nothing failed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("klaviyo_assets.models.run._dbt", forked)
        results = dbt_build(
            target_of(warehouse_of(settings), kind_of(settings.warehouse), MODELS),
            select=select,
            variables=dbt_variables(settings),
            unit_tests=unit_tests,
            cache=cache,
            log=LOG,
        )
    assert [(result.name, result.message) for result in results if result.status not in GOOD] == []


def write(warehouse: Warehouse, *statements: str) -> None:
    with warehouse.session(writes=True) as session:
        for statement in statements:
            session.sql(statement)
        session.commit()


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.soak)])
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account with its marts, built once before news of orders, and once after them."""
    folder = tmp_path_factory.mktemp("marts")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "postgres":
            if not is_installed("postgres"):
                pytest.skip("the extra `models-postgres` is not installed")
            patch.setenv("KLAVIYO_WAREHOUSE", postgres_database(folder))
        else:
            patch.setenv("KLAVIYO_WAREHOUSE", str(folder / "w.duckdb"))
        settings = Settings()
        warehouse = warehouse_of(settings)
        marts_by_hand.put_account(warehouse)
        orders = {order["id"]: order for order in marts_by_hand.ORDERS}
        before = [
            {**orders["o03"], "property_line_items": [{"name": "Pot", "price": 9}] * 2},
            {**orders["o07"], "property_attribution": None},
            {**orders["o07"], "id": "gone"},
        ]
        put(warehouse, "event", before, by_hand.SYNCED - dt.timedelta(days=1))
        write(warehouse, "UPDATE klaviyo.event SET _fivetran_deleted = (id = 'o05')")
        build(settings, folder / "cache", "+order_lines")
        write(
            warehouse,
            f"UPDATE {MODELS}.order_lines SET sku = coalesce(sku, '') || '{MARK}'",
            "UPDATE klaviyo.event SET _fivetran_deleted = (id = 'gone')",
            # Dan is no longer on the list.
            "UPDATE klaviyo.list_person SET _fivetran_deleted = true, _fivetran_synced = '2026-05-14 10:00:00' "
            "WHERE person_id = 'q4'",
        )
        put(warehouse, "event", [orders["o03"], orders["o07"]], by_hand.SYNCED + dt.timedelta(days=1))
        build(settings, folder / "cache", "+path:models/marts", unit_tests=True)
        yield Account(settings, folder)


def compare(found: Sequence[Mapping[str, Any]], keys: Sequence[str], wanted: Mapping[Any, Mapping[str, Any]]) -> None:
    """Check each row: what the expectation names, and that all other figures are nothing."""
    by_key = {tuple(row[key] for key in keys): row for row in found}
    assert by_key.keys() == wanted.keys() and len(found) == len(wanted)
    for key, row in by_key.items():
        figures = {name: value for name, value in row.items() if isinstance(value, int | float) and abs(value) > 1e-9}
        named = {name: value for name, value in wanted[key].items() if value != 0}
        assert {name: row[name] for name in named} | figures == pytest.approx(named, abs=1e-5), key


def test_events_of_messages_tell_machines_apart_and_both_dates(account: Account) -> None:
    found = {row["event_id"]: row for row in account.rows("message_events")}
    assert found.keys() == {event["id"] for event in marts_by_hand.MESSAGE_EVENTS}
    columns = ("message_id", "channel", "action", "sent_at", "is_machine_open", "is_bot_click")
    assert {id: tuple(row[name] for name in columns) for id, row in found.items()} == marts_expected.MESSAGE_EVENTS


@pytest.mark.parametrize("way", ["event", "window", "human"])
def test_orders_are_credited_in_three_ways(account: Account, way: str) -> None:
    found = [row for row in account.rows("order_credits") if row["credited_by"] == way]
    assert {row["event_id"]: row["touch_event_id"] for row in found} == marts_expected.CREDITS[way]
    told = {
        row["event_id"]: (row["order_id"], row["order_value"], row["cancelled_at"], row["refunded_value"])
        for row in found
    }
    assert len(found) == 13 and told["o01"] == ("S1", 100, None, 30)
    assert told["o11"] == ("S11", 10, dt.datetime(2026, 6, 2, 12), 0)


def test_the_performance_of_each_message_in_each_period(account: Account) -> None:
    found = account.rows("message_performance")
    keys = ("message_id", "date_type", "period", "period_start")
    compare(found, keys, marts_expected.MESSAGE_PERFORMANCE)
    names = ("campaign_name", "flow_name", "message_name", "subject", "channel")
    assert {row["message_id"]: tuple(row[name] for name in names) for row in found} == {
        "nm1": ("News", None, "News, all", "Tea", "email"),
        "nm2": ("Quick", None, "Quick text", None, "text"),
        "wm1": (None, "Come back", "We miss you", "Hello?", "email"),
        "wm2": (None, "Come back", "Test", None, "email"),
    }


def test_the_share_of_each_channel_in_all_revenue(account: Account) -> None:
    keys = ("credited_to", "channel", "period", "period_start")
    compare(account.rows("channel_revenue"), keys, marts_expected.CHANNEL_REVENUE)


def test_variations_beside_each_other(account: Account) -> None:
    found = account.rows("variation_results")
    compare(found, ("message_id", "variation_id"), marts_expected.VARIATION_RESULTS)
    told = {row["variation_id"]: (row["variation_name"], row["subject"], row["first_sent_at"]) for row in found}
    sent, tested = at("05-04 08:00"), at("03-02 09:00")
    assert told == {
        "nv1": ("A", "Tea", sent),
        "nv2": ("B", "Cups", sent),
        "wv1": (None, "One", tested),
        "wv2": (None, "Two", tested),
    }


def test_emails_by_the_provider_of_the_inbox(account: Account) -> None:
    compare(account.rows("deliverability"), ("inbox_provider", "week_start"), marts_expected.DELIVERABILITY)


def test_campaigns_in_a_calendar(account: Account) -> None:
    found = account.rows("campaign_calendar")
    compare(found, ("campaign_id", "channel", "send_date"), marts_expected.CAMPAIGN_CALENDAR)
    assert {row["campaign_id"]: (row["week_start"], row["month_start"], row["status"]) for row in found} == {
        "n1": (at("05-04").date(), at("05-01").date(), "Sent"),
        "n2": (at("05-11").date(), at("05-01").date(), "Sent"),
        "n3": (at("07-06").date(), at("07-01").date(), "Scheduled"),
        "n4": (None, None, "Draft"),
    }


def test_a_line_for_each_item_of_orders_of_every_shape(account: Account) -> None:
    names = ("order_id", "person_id", "product_name", "sku", "product_id", "variant_id", "quantity", "unit_price")
    found = account.rows("order_lines")
    told = {
        (row["event_id"], row["line_number"]): tuple(row[name] for name in (*names, "line_value", "campaign_id"))
        for row in ({**row, "sku": (row["sku"] or "").rstrip(MARK) or None} for row in found)
    }
    assert told == marts_expected.ORDER_LINES and len(found) == len(told)
    assert {row["event_id"][0]: row["type"] for row in found} == {
        "o": "Placed Order", "b": "Placed Order", "l": "Ordered Product",
    }  # fmt: skip


def test_only_lines_of_orders_with_news_are_made_anew(account: Account) -> None:
    """The first build has seen one order otherwise, one without its credit, one too many, and one not at all."""
    found = {row["event_id"]: row["sku"] for row in account.rows("order_lines")}
    assert {event for event, sku in found.items() if not (sku or "").endswith(MARK)} == {"o03", "o05", "o07"}


def test_who_joins_and_leaves_lists_and_channels(account: Account) -> None:
    found = account.rows("list_growth")
    compare(found, ("list_id", "channel", "week_start"), marts_expected.LIST_GROWTH)
    names = {"L1": "Newsletter", "L2": "Texts"}
    assert {row["list_id"]: row["list_name"] for row in found} == {**names, None: None}


def test_customers_and_how_they_score(account: Account) -> None:
    found = account.rows("customers")
    compare(found, ("person_id", "engagement", "cohort_month"), marts_expected.CUSTOMERS)
    people = {row["person_id"]: row for row in found}
    assert {person: people[person]["suppression_reason"] for person in ("q1", "q4", "q5")} == {
        "q1": None,
        "q4": "SPAM_COMPLAINT",
        "q5": "HARD_BOUNCE",
    }
    ann = people["q1"]
    assert (ann["email"], ann["email_consent"], ann["text_consent"]) == (
        "ann@gmail.example",
        "SUBSCRIBED",
        "SUBSCRIBED",
    )
    times = ("first_order", "last_order", "last_message", "last_opened", "last_clicked")
    assert [ann[f"{name}_at"] for name in times] == [
        at("05-04 10:00"), at("06-02 09:00"), at("05-12 10:00"), at("05-05 09:00"), at("05-04 09:05"),
    ]  # fmt: skip
    assert ann["next_order_expected_at"] == at("07-20 00:00")
    ben = people["q2"]
    assert (ben["last_opened_at"], people["q3"]["last_clicked_at"]) == (None, None), "a machine and a bot"


def test_cohorts_by_the_month_of_their_first_order(account: Account) -> None:
    compare(account.rows("cohorts"), ("cohort_month", "months_since_first"), marts_expected.COHORTS)


def test_the_report_reads_its_sections_from_the_marts(account: Account) -> None:
    """Of May. Dan opened a mail of the first week in the second; Eve ordered in June what was sent on 31 May."""

    def sections(period: Period, marts: Collection[str] = MARTS, least: int = 2) -> Sections:
        with warehouse_of(account.settings).session(writes=False) as session:
            return read_sections(session, MODELS, period, marts, accounts=["klaviyo"], least_recipients=least)

    found = sections(of_month(at("05-01").date()))
    assert found.channels == [
        Channel("campaign", "email", 3, 170, 170 / 300),
        Channel("campaign", "text", 1, 40, 40 / 300),
        Channel("none", "none", 2, 90, 90 / 300),
    ]
    tea, cups = SubjectLine("Tea", "News", Reached(2, 2, 1, 1)), SubjectLine("Cups", "News", Reached(2, 1, 1, 1))
    assert found.subjects == SubjectLines([tea, cups], [], 2), "each of the test has a subject of its own"
    assert sections(of_month(at("05-01").date()), least=3).subjects == SubjectLines()
    missed = FlowMessage("We miss you", "Hello?", "email", Reached(3, 1, 1, 1), 1, 70)
    assert found.flows == [FlowMessages("Come back", [missed])]
    assert found.cohorts == [Cohort(at("05-01").date(), 5, ())], "June is not over in May"
    assert found.providers == [
        Provider("Gmail", 4, 0, Reached(4, 3, 2, 2), 0, 0),
        Provider("Microsoft", 2, 0, Reached(2, 0, 0, 1), 1, 0),
        Provider("Apple", 1, 0, Reached(1, 1, 1, 0), 0, 1),
        Provider("Other", 1, 1, Reached(0, 0, 0, 0), 0, 0),
    ]
    with warehouse_of(account.settings).session(writes=False) as session:
        figures = read_figures(session, MODELS, of_days(at("05-01").date(), at("07-02").date()))
        may = read_figures(session, MODELS, of_month(at("05-01").date()))
    assert (may.total["revenue"], may.total["all_revenue"]) == (170 + 40, 300), "as revenue by channel says"
    mondays = [at("04-27").date() + dt.timedelta(weeks=number) for number in range(10)]
    weeks = [0, 180, 120, 0, 0, 95, 25, 0, 0, 80]
    assert {row["name"]: row["all_revenue"] for row in figures.steps} == dict(zip(mondays, weeks, strict=True))
    wednesday = sections(of_days(at("05-06").date(), at("05-07").date())).providers
    assert wednesday and sum(each.sent for each in wednesday) == 5, "all that was sent in the week"
    spring = sections(of_days(at("03-02").date(), at("03-03").date()))
    assert spring.flows == [FlowMessages("Come back", [FlowMessage("Test", "", "email", Reached(10, 5, 5, 0), 0, 0)])]
    assert (spring.channels, spring.cohorts, spring.subjects) == ([], [], SubjectLines())
    later = sections(of_days(at("07-01").date(), at("07-02").date()), {"cohorts"})
    assert later == Sections(
        cohorts=[Cohort(at("05-01").date(), 5, (0.4, 0)), Cohort(at("06-01").date(), 1, (0,))],
        missing=("channel_revenue", "message_performance", "variation_results", "deliverability"),
    )


def test_why_numbers_differ_from_those_of_klaviyo(account: Account) -> None:
    found = account.rows("why_numbers_differ")
    compare(found, ("message_id", "statistic"), marts_expected.NUMBERS)
    told = {row["message_id"]: (row["message_name"], row["channel"], row["reported_at"]) for row in found}
    assert told == {
        "nm1": ("News, all", "email", marts_by_hand.CAMPAIGNS_REPORTED),
        "nm2": ("Quick text", "text", marts_by_hand.CAMPAIGNS_REPORTED),
        "wm1": ("We miss you", "email", marts_by_hand.FLOWS_REPORTED),
        "wm2": ("Test", "email", marts_by_hand.FLOWS_REPORTED),
    }
    assert {row["events_read_through"] for row in found} == {at("07-01 12:00")}


def test_a_check_warns_of_what_nothing_explains(account: Account) -> None:
    check = dg.AssetCheckKey(dg.AssetKey(["klaviyo_models", NUMBERS]), CHECK)
    with warehouse_of(account.settings).session(writes=False) as session:
        result = check_numbers(session, MODELS, account.settings, check)
        lenient = Settings(model_variables={TOLERANCE_VARIABLE: 0.7})
        assert check_numbers(session, MODELS, lenient, check).passed
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "Nothing explains 1 of 2 spam_complaints, 2 of 6 clicks, 1 of 11 opens." in str(result.description)
    shown = {name: value.value for name, value in result.metadata.items()}
    assert shown["unexplained_opens"] == 0.0909 and shown["unexplained_delivered"] == 0
    table = result.metadata["worst_messages"]
    assert isinstance(table, dg.TableMetadataValue)
    worst = [record.data for record in table.records]
    assert [(each["statistic"], each["message"], each["unexplained"]) for each in worst] == [
        ("spam_complaints", "News, all", 1), ("clicks", "We miss you", 2), ("opens", "Test", -1),
    ]  # fmt: skip
    query = str(shown["query"]).removeprefix("```sql").removesuffix("```")
    with warehouse_of(account.settings).session(writes=False) as session:
        assert len(list(session.sql(query))) == len(worst)


def test_a_check_that_runs_alone_builds_nothing(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.models.assets.dbt_build", lambda *_, **__: pytest.fail("it was built"))
    check = dg.AssetCheckKey(dg.AssetKey(["klaviyo_models", NUMBERS]), CHECK)
    job = build_definitions(account.settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.get_subset(asset_check_selection={check}).execute_in_process(instance=instance, run_config=QUIET)
    (found,) = result.get_asset_check_evaluations()
    assert (found.check_name, found.passed) == (CHECK, False)


def test_the_queries_of_the_documents(account: Account) -> None:
    (of_marts,) = blocks(DOCUMENTS / "marts.md", "sql")
    why, without_machines = blocks(DOCUMENTS / "numbers.md", "sql")
    with warehouse_of(account.settings).session(writes=False) as session:
        found = session.sql(of_marts)
        assert [(row[0], row[1], row[3]) for row in found] == [("News", "Tea", 4), ("Quick", None, 2)]
        found = session.sql(why)
        assert len(found) == 10 and [(row[0], row[1], float(row[-1])) for row in found[:2]] == [
            ("We miss you", "clicks", 2), ("News, all", "spam_complaints", 1),
        ]  # fmt: skip
        found = [tuple(map(str, row)) for row in session.sql(without_machines)]
        assert [(name, int(machines)) for name, _, machines in found] == [
            ("News, all", -2),
            ("Test", 0),
            ("We miss you", 0),
        ]


def test_every_column_of_the_marts_says_how_it_is_counted(account: Account) -> None:
    marts = [model for model in read_project() if model.group == "marts"]
    for model in marts:
        (first, *_) = account.rows(model.name)
        assert model.columns.keys() == first.keys(), model.name
        for column, description in model.columns.items():
            assert len(description) > 3, column
            if column.startswith("unique_") and not column.endswith(("_key", "_id")):
                assert re.search("can't be summed", description), column
