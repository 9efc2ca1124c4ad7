"""A warehouse that an earlier version has written is synced on, and then equals one that this version has filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.tables.registry import TABLES as ALL_TABLES
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.reader import Reader
from klaviyo_assets_tests.conftest import Project
from klaviyo_assets_tests.expected import MORE_TABLES, OPTIONAL_TABLES, TABLES, live
from klaviyo_assets_tests.expected.compare import latest
from klaviyo_assets_tests.upgrades import EARLIER, unpack
from klaviyo_assets_tests.upgrades.story import after_all

DAYS = 20
"""Since before the account's first event."""
FEW = ("event", "person", "global_exclusion", "list_exclusion", "metric", "list")
ALL = tuple(
    name for name in (*TABLES, *MORE_TABLES, *OPTIONAL_TABLES) if "report" not in name and name != "billing_usage"
)


MEMBERSHIPS = ("list_person", "segment_person")
WAITING = ("coupon_code",)
KEPT = {
    "campaign": ("scheduled", "send_option_use_smart_sending", "send_strategy_", "status"),
    "campaign_message": ("content_media_url",),
}
"""Columns, or how they begin, in which rows keep what Klaviyo no longer says (docs/columns.md)."""


def rows(warehouse: Reader, name: str) -> dict[Any, dict[str, Any]]:
    """What a table holds: key -> values but those that tell of the sync."""
    found = live(warehouse, name, table(name).primary_key)
    if name == "account_history":
        found = latest(found, "observed_at")
    hidden = ("_fivetran_synced", "observed_at", *KEPT.get(name, ()))
    return {
        key: {column: value for column, value in row.items() if value is not None and not column.startswith(hidden)}
        for key, row in found.items()
    }


@pytest.mark.parametrize("version", EARLIER)
@pytest.mark.parametrize("tables", [pytest.param(FEW, id="few"), pytest.param(ALL, id="all", marks=pytest.mark.soak)])
def test_a_warehouse_of_an_earlier_version_is_synced_on(
    tables: tuple[str, ...], version: str, project: Callable[..., Project], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "tables": {each.name: each.name in tables for each in ALL_TABLES},
        "memberships": "weekly",
    }
    unpack(version, tmp_path / "warehouse.duckdb")
    klaviyo = project(after_all(), **settings)
    klaviyo.sync(-DAYS)
    assert klaviyo.differences(*(name for name in tables if name not in (*KEPT, *MEMBERSHIPS, *WAITING))) == []
    if tables == FEW:
        return
    what_waits_does_so_until_it_is_accepted(klaviyo)

    fresh = project(after_all(), **settings, duckdb_path=str(tmp_path / "fresh.duckdb"))
    fresh.sync(-DAYS)
    for name in tables:
        assert rows(klaviyo.warehouse, name) == rows(fresh.warehouse, name), name


def what_waits_does_so_until_it_is_accepted(klaviyo: Project) -> None:
    """The deletes that the guard of the earlier version held back; of few rows two reads are enough."""
    left = {key for key, state in klaviyo.warehouse.states().items() if key[1] == "waiting"}
    assert left == {(name, "waiting") for name in WAITING}
    assert len(klaviyo.differences(*WAITING)) == 280
    accepted = {"ops": {"klaviyo__coupon_code": {"config": {"accept_shrink": True}}}}
    assert klaviyo.run("klaviyo_full_refresh", config=accepted).success
