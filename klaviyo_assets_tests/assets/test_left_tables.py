"""Runs on tables as users leave them."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from klaviyo_assets_tests.assets.test_order import DAYS, SETTINGS, an_account, change, known
from klaviyo_assets_tests.conftest import Project, failures, synced

TABLES = ("event", "person", "list", "list_person", "metric")
SYNCED_OF_TEXT = (
    "ALTER TABLE klaviyo.{0} ALTER _fivetran_synced SET DATA TYPE VARCHAR; "
    "ALTER TABLE klaviyo.{0} ALTER _fivetran_deleted SET DATA TYPE VARCHAR"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synced(tmp_path_factory.mktemp("synced") / "warehouse.duckdb", an_account(), DAYS, **SETTINGS)


@pytest.fixture
def klaviyo(project: Callable[..., Project], template: Path, tmp_path: Path) -> Project:
    """All of the account has been synced, and has changed since."""
    shutil.copy(template, tmp_path)
    klaviyo = project(an_account(), **SETTINGS)
    klaviyo.account.clock.advance(dt.timedelta(hours=1))
    change(klaviyo.account, 1)
    return klaviyo


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE OR REPLACE TABLE klaviyo.event (id UUID); CREATE OR REPLACE TABLE klaviyo.metric (id UUID); "
        "CREATE OR REPLACE TABLE klaviyo.list AS SELECT id FROM klaviyo.list; "
        "CREATE OR REPLACE TABLE klaviyo.list_person (list_id INTEGER, person_id INTEGER)",
        "CREATE OR REPLACE TABLE klaviyo.list (id INTEGER, _fivetran_deleted BOOLEAN); "
        "INSERT INTO klaviyo.list VALUES (7, true); "
        + "; ".join(SYNCED_OF_TEXT.format(table) for table in ("event", "person", "metric", "list_exclusion")),
    ],
    ids=["fewer columns", "other types"],
)
def test_tables_that_a_user_made_again_are_mended_by_the_next_runs(klaviyo: Project, statements: str) -> None:
    with klaviyo.warehouse.connect() as connection:
        connection.execute(statements).fetchall()
    klaviyo.sync()
    klaviyo.refresh()
    klaviyo.warehouse.query("DELETE FROM klaviyo.list WHERE id = '7'")
    assert klaviyo.differences(*TABLES) == []
    checks = klaviyo.sync().get_asset_check_evaluations()
    assert [check.description for check in checks if not check.passed] == []


def test_a_view_in_the_place_of_event_fails_what_writes_it_and_voids_nothing(klaviyo: Project) -> None:
    before, events = known(klaviyo), klaviyo.warehouse.query("SELECT * FROM klaviyo.event")
    klaviyo.warehouse.query("ALTER TABLE klaviyo.event RENAME TO event_of_mine")
    klaviyo.warehouse.query("CREATE VIEW klaviyo.event AS FROM klaviyo.event_of_mine")
    sync, refresh = klaviyo.run("klaviyo_sync", 0), klaviyo.run("klaviyo_full_refresh")
    for result in (sync, refresh):
        assert not result.success
        for failure in failures(result):
            assert "ViewInPlace: klaviyo.event is a view" in failure and "Drop or rename the view." in failure
    assert {event.step_key for event in sync.all_events if event.is_step_failure} == {
        "klaviyo__event", "klaviyo__metric"
    }  # fmt: skip
    assert klaviyo.warehouse.query("SELECT * FROM klaviyo.event_of_mine") == events
    after = known(klaviyo)
    assert {key: state for key, state in after.items() if key[0] == "event"} == {
        key: state for key, state in before.items() if key[0] == "event"
    }
    assert klaviyo.differences("person", "list", "list_person") == []
    klaviyo.warehouse.query("DROP VIEW klaviyo.event")
    klaviyo.warehouse.query("ALTER TABLE klaviyo.event_of_mine RENAME TO event")
    klaviyo.sync()
    klaviyo.refresh()
    assert klaviyo.differences(*TABLES) == []
