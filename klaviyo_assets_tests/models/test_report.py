"""What the report writes, apart from what it reads: its days, its numbers, its files."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.models.report.asset import ReportConfig, default_path, order_metric, title
from klaviyo_assets.models.report.formats import Money, change, number, percent
from klaviyo_assets.models.report.period import Period, of_days, of_month
from klaviyo_assets.models.report.synced import Account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.documents import DOCUMENTS

TODAY = dt.date(2026, 3, 11)
"""A Wednesday."""


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(f"2026-{text}")


@pytest.mark.parametrize(
    ("config", "since", "until", "before"),
    [
        ({}, "2025-12-12", "2026-03-12", "2025-09-13"),
        ({"days": 1}, "2026-03-11", "2026-03-12", "2026-03-10"),
        ({"days": 7, "first_day": "2026-03-01"}, "2026-03-01", "2026-03-08", "2026-02-22"),
        ({"period": "week"}, "2026-03-02", "2026-03-09", "2026-02-23"),
        ({"period": "week", "first_day": "2026-02-23"}, "2026-02-23", "2026-03-02", "2026-02-16"),
        ({"period": "month"}, "2026-02-01", "2026-03-01", "2026-01-01"),
        ({"period": "month", "first_day": "2025-12-01"}, "2025-12-01", "2026-01-01", "2025-11-01"),
    ],
)
def test_the_days_that_a_config_asks_for(config: dict[str, object], since: str, until: str, before: str) -> None:
    found = ReportConfig(**config).chosen(TODAY)
    assert found == Period(*map(dt.date.fromisoformat, (since, until, before, since)))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"period": "week", "first_day": "2026-03-04"},
            "first_day: a week begins on a Monday: 2026-03-02 or 2026-03-09",
        ),
        ({"period": "month", "first_day": "2026-02-02"}, "first_day: a month begins on its first day: 2026-02-01"),
        ({"period": "month", "days": 30}, "days: leave it out, a month has the days that it has"),
        ({"first_day": "3/1/2026"}, "first_day: '3/1/2026' is no day such as 2026-03-11"),
        ({"first_day": "2026-03-12"}, "first_day: 2026-03-12 is not between 2000-01-01 and today, 2026-03-11"),
        ({"first_day": "1999-01-01"}, "first_day: 1999-01-01 is not between"),
    ],
)
def test_what_can_not_be_right_names_the_field(config: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ReportConfig(**config).chosen(TODAY)


@pytest.mark.parametrize("config", [{"days": 0}, {"days": 9999}, {"least_recipients": 0}, {"period": "year"}])
def test_what_no_config_may_be_is_refused(config: dict[str, object]) -> None:
    (name,) = config
    with pytest.raises(dg.DagsterInvalidPythonicConfigDefinitionError if name == "?" else ValueError, match=name):
        ReportConfig(**config)


def test_a_period_that_is_not_over_is_compared_with_as_many_days() -> None:
    march = of_month(day("03-01"))
    asked = ReportConfig(period="month", first_day="2026-03-01").chosen(TODAY)
    assert asked == Period(day("03-01"), day("03-12"), day("02-01"), day("02-12")), "though events are of the future"
    assert march.within(day("01-01"), day("03-11")) == Period(day("03-01"), day("03-12"), day("02-01"), day("02-12"))
    assert march.within(day("01-01"), day("03-30")).before_end == day("03-01"), "February has but 28 days"
    assert march.within(day("01-01"), day("04-30")) == march
    assert march.within(day("03-05"), day("04-30")).since == day("03-05")
    for first, last in (("01-01", "02-28"), ("04-01", "04-30")):
        assert march.within(day(first), day(last)) == march, "nothing is in it"
    assert (march.step, march.steps[::30]) == ("day", [day("03-01"), day("03-31")])
    long = of_days(day("03-04"), day("04-07"))
    assert (long.step, long.steps) == ("week", [day("03-02") + dt.timedelta(weeks=number) for number in range(6)])
    week = of_days(day("03-04"), day("03-11"))
    assert (week.monday, week.last_day, week.last_day_before) == (day("03-02"), day("03-10"), day("03-03"))


def test_changes_are_told_in_words() -> None:
    told = [
        change(120, 100, number), change(0.5, 0.4, percent), change(1, 0, number), change(-2, -5, number),
        change(0.4001, 0.4, percent), change(None, 0.1, percent), change(3, None, percent), change(0, 0, number),
        change(90, 100, Money("EUR")),
    ]  # fmt: skip
    assert [(each.direction, each.text) for each in told] == [
        ("up", "up 20.0%, from 100"), ("up", "up 10.0 points, from 40.0%"), ("up", "up from 0"), ("up", "up from -5"),
        ("", "as before, 40.0%"), ("", "period before: 10.0%"), ("", "period before: -"), ("", "as before, 0"),
        ("down", "down 10.0%, from €100.00"),
    ]  # fmt: skip


def test_amounts_have_the_symbol_of_their_currency() -> None:
    assert [Money(code)(-1234.5) for code in ("EUR", "DKK", "", "XXX")] == [
        "-€1,234.50", "-DKK 1,234.50", "-1,234.50", "-¤1,234.50",
    ]  # fmt: skip
    assert Money("EUR", 0)(None) == "-"


def test_titles_and_files() -> None:
    shop = Settings(name="shop_dk", warehouse="data/w.duckdb")
    assert [title(shop, Account("Acme")), title(shop, Account()), title(Settings(), Account())] == [
        "Acme: campaign report", "shop_dk: campaign report", "Campaign report",
    ]  # fmt: skip
    assert default_path(shop).name == "w_shop_dk_campaign_report.html"
    march = of_month(day("03-01"))
    assert default_path(shop, "month", march).name == "w_shop_dk_campaign_report_month_2026-03-01.html"


def test_orders_are_events_of_the_metric_that_the_models_count() -> None:
    assert order_metric(Settings()) == ["Placed Order"]
    chosen = Settings(
        model_variables={
            "klaviyo__conversion_metric": "bought",
            "klaviyo__metric_names": {"Order": ["Bought", "Paid"]},
        }
    )
    assert order_metric(chosen) == ["bought", "Order", "Bought", "Paid"]


def test_the_report_is_downstream_of_all_that_it_reads() -> None:
    def read(settings: Settings) -> set[str]:
        specs = build_definitions(settings).resolve_all_asset_specs()
        (spec,) = (spec for spec in specs if spec.key.path[-1] == "campaign_report" and "html" in spec.kinds)
        return {dep.asset_key.to_user_string() for dep in spec.deps}

    usual = {"klaviyo_models/klaviyo__events", "klaviyo/account_history", "klaviyo/campaign", "klaviyo/flow"}
    marts = ("channel_revenue", "cohorts", "deliverability", "message_performance", "variation_results")
    assert read(Settings()) == usual | {f"klaviyo_models/{mart}" for mart in marts}
    assert read(Settings(model_variables={"klaviyo__marts": False})) == usual
    assert "klaviyo/account_history" not in read(Settings(tables={"account_history": False}))


def test_the_documents_have_every_field_of_the_config() -> None:
    documented = (DOCUMENTS / "models.md").read_text()
    for name in ReportConfig.model_fields:
        assert f"\n| `{name}` |" in documented
