"""The models and the report on a Postgres server: what they say on DuckDB of the same account."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of, server
from klaviyo_assets_tests.models import by_hand
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.servers import MODELS, check_same, check_taken_along
from klaviyo_assets_tests.warehouse.databases import postgres_database

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not is_installed("postgres"), reason="the extra `models-postgres` is not installed"),
]

SECRET = "very-s3cret"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary folders of dbt stay, to be looked at."""
    folder = tmp_path / "kept"
    folder.mkdir()

    @contextmanager
    def keep(prefix: str) -> Iterator[str]:
        yield tempfile.mkdtemp(prefix=prefix, dir=folder)

    monkeypatch.setattr("klaviyo_assets.models.run.tempfile.TemporaryDirectory", keep)
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    return folder


def test_the_models_say_what_they_say_on_duckdb(
    tmp_path: Path,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Built anew, and once more after news of an event, a name and a property; with the same keys. `test_marts` has the
    marts."""
    caplog.set_level("DEBUG")
    address = postgres_database(tmp_path)
    at = server(address)
    assert at and at.database
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres:@", f"postgres:{SECRET}@"))
    without_marts = {"klaviyo__marts": False}
    both = [
        Settings(shopify_schema="shop", model_variables=without_marts),
        Settings(shopify_schema="shop", model_variables=without_marts, warehouse=f"{at.database}.duckdb"),
    ]
    assert both[0].url_variable == "KLAVIYO_WAREHOUSE"
    check_same(*both, tmp_path / "home")

    written = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".duckdb"]
    assert any(file.name == "profiles.yml" and b"postgres" in file.read_bytes() for file in written)
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in "".join(capfd.readouterr()) + caplog.text + repr([vars(record) for record in caplog.records])


@pytest.mark.parametrize("database", ["postgres", "duckdb"])
def test_columns_to_take_along_of_which_accounts_have_other_ones(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    address = postgres_database(tmp_path) if database == "postgres" else str(tmp_path / "w.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    check_taken_along(tmp_path)


def built(settings: Settings, cache: Path, *select: str, full_refresh: bool = False, **variables: Any) -> list[str]:
    """Build models; return what failed, in words."""
    warehouse = warehouse_of(settings)
    results = dbt_build(
        target_of(warehouse, kind_of(settings.warehouse), MODELS),
        select=select,
        variables=dbt_variables(settings) | variables,
        full_refresh=full_refresh,
        cache=cache,
        log=logging.getLogger(__name__),
    )
    return [result.message for result in results if result.is_failure]


def test_views_on_models_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is new in the models; a column that a view shows is not taken from it either."""
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", postgres_database(tmp_path))
    settings = Settings()
    warehouse = warehouse_of(settings)
    by_hand.put_account(warehouse)
    chosen = ("+klaviyo__campaigns", "+klaviyo__persons")
    assert built(settings, tmp_path / "cache", *chosen) == []
    with warehouse.session(writes=True) as session:
        session.sql("CREATE SCHEMA mine")
        session.sql(f"CREATE VIEW mine.orders AS SELECT numeric_value FROM {MODELS}.klaviyo__events")
        session.sql(f"CREATE VIEW mine.names AS SELECT DISTINCT campaign_name FROM {MODELS}.klaviyo__campaigns")
        session.sql(f"CREATE VIEW mine.opens AS SELECT total_count_opened_email FROM {MODELS}.klaviyo__persons")
        session.commit()

    def shown() -> tuple[Any, ...]:
        with warehouse.session(writes=False) as session:
            ((events, value),) = session.sql("SELECT count(*), max(numeric_value) FROM mine.orders")
            ((opens,),) = session.sql("SELECT sum(total_count_opened_email) FROM mine.opens")
            names = {name for (name,) in session.sql("SELECT campaign_name FROM mine.names")}
            return int(events), float(value), int(opens), "Spring again" in names

    before = shown()
    opened = by_hand.event("new", "03-22 10:00", "p1", "Opened Email", campaign_id="c1", **by_hand.worth(999))
    by_hand.put(warehouse, "event", [opened])
    by_hand.put(warehouse, "campaign", [{**by_hand.CAMPAIGNS[0], "name": "Spring again"}])
    assert built(settings, tmp_path / "cache", *chosen) == []
    after = shown()
    assert after == (before[0] + 1, 999, before[2] + 1, True)
    metrics = ["Opened Email", "Placed Order", "Active on Site", "Some Other"]
    changed = {"klaviyo__count_metrics": metrics}
    assert built(settings, tmp_path / "cache", *chosen, full_refresh=True, **changed) == []
    assert shown() == after
    failed = built(settings, tmp_path / "cache", *chosen, klaviyo__count_metrics=["Placed Order"])
    assert [message for message in failed if "mine.opens" in message] and shown() == after


TORN = ["[{'sku': 1}]", '["a", b "]', "{not json", '{"a" oops}', '[{"a": 1}', '[{"a": "\\u00zz"}]', "[]", "[1, 2]"]
"""What a property may be, whose text looks like JSON and is none."""


@pytest.mark.parametrize("database", ["postgres", "duckdb"])
def test_text_that_looks_like_json_is_text(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    address = postgres_database(tmp_path) if database == "postgres" else str(tmp_path / "w.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    settings = Settings()
    warehouse = warehouse_of(settings)
    places = ("property_items", "property_line_items", "property_extra", "property_attribution")
    events = [
        by_hand.event(f"{number} {place}", "03-09 10:00", "p1", "Placed Order", **{place: text}, **by_hand.worth(1))
        for number, text in enumerate(TORN)
        for place in places
    ]
    by_hand.put(warehouse, "event", events)
    assert built(settings, tmp_path / "cache", "+order_lines", "+order_credits") == []
    with warehouse.session(writes=False) as session:
        lines = session.sql(f"SELECT event_id, product_name FROM {MODELS}.order_lines ORDER BY event_id, line_number")
        ((orders,),) = session.sql(f"SELECT count(*) FROM {MODELS}.order_credits WHERE credited_by = 'event'")
    assert {event.split()[0] for event, _ in lines} <= {"7"} and orders == len(events)
