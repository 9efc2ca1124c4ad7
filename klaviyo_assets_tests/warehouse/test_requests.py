"""What may be asked for only so often: how often it was, whichever process did."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from klaviyo_assets_tests.warehouse.databases import NOON
from klaviyo_assets_tests.warehouse.helpers import warehouse_at

pytestmark = pytest.mark.every_database

DAY = 86_400.0


def test_requests_of_a_day_are_counted_and_those_before_are_forgotten(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    for hours, wait in ((0, 0), (1, 0), (3, 21), (24, 0), (25, 0), (26, 22)):
        warehouse.set_clock(NOON + dt.timedelta(hours=hours))
        assert warehouse.take_request("report", 2, DAY) == pytest.approx(wait * 3600, abs=0.1), hours
        assert warehouse.take_request(f"another {hours}", 2, DAY) == 0
    with warehouse.session(writes=False) as session:
        table = session.name("klaviyo", "_requests")
        assert session.sql(f"SELECT count(*) FROM {table} WHERE name = 'report'")[0][0] == 2


@pytest.mark.also_without_sql
def test_requests_at_the_same_moment_are_two(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    assert [warehouse.take_request("report", 2, DAY) for _ in range(2)] == [0, 0]
    assert warehouse.take_request("report", 2, DAY) == pytest.approx(DAY, abs=0.1)


@pytest.mark.also_without_sql
@pytest.mark.parametrize("ahead", [dt.timedelta(hours=5), dt.timedelta(days=4000)])
def test_a_clock_that_was_ahead_keeps_nobody_waiting_for_longer_than_that(tmp_path: Path, ahead: dt.timedelta) -> None:
    warehouse = warehouse_at(tmp_path)
    warehouse.set_clock(NOON + ahead)
    assert warehouse.take_request("report", 2, DAY) == 0
    warehouse.set_clock(NOON)
    assert warehouse.take_request("report", 1 if ahead.days else 2, DAY) == 0
    assert 0 < warehouse.take_request("report", 1, DAY) <= DAY + 5 * 3600 + 1
