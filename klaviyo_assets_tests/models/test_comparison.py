"""`compare-models`: what differs from the models of Fivetran's packages by design is told apart from what does not."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.cli.main import main
from klaviyo_assets.models.comparison.reasons import REASONS
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.documents import DOCUMENTS
from klaviyo_assets_tests.models import by_hand
from klaviyo_assets_tests.models.by_hand import at
from klaviyo_assets_tests.warehouse.databases import postgres_database

Rows = Sequence[Mapping[str, Any]]
Models = Mapping[str, Rows]

_TYPES = {str: Type.TEXT, int: Type.BIGINT, float: Type.DOUBLE, bool: Type.BOOLEAN, dt.datetime: Type.TIMESTAMP}


def put(warehouse: Warehouse, schema: str, models: Models) -> None:
    """Make tables out of rows, whose values say what the columns hold."""
    with warehouse.session(writes=True) as session:
        session.create_schema(schema)
        for name, rows in models.items():
            names = list(dict.fromkeys(column for row in rows for column in row))
            kinds = {
                column: next((_TYPES[type(row[column])] for row in rows if row.get(column) is not None), Type.TEXT)
                for column in names
            }
            session.create(schema, name, {column: session.dialect.type_names[kinds[column]] for column in names})
            session.insert(session.name(schema, name), names, [[row.get(column) for column in names] for row in rows])
        session.commit()


def event(id: str, touch: str | None, **more: Any) -> dict[str, Any]:
    """An event in the models."""
    return {
        "event_id": id, "source_relation": "db.klaviyo", "unique_event_id": f"key of {id}", "touch_id": touch,
        "variation_id": None, "last_touch_type": "campaign", "last_touch_at": at("03-01 09:00"), "numeric_value": None,
        "campaign_name": "Spring", **more,
    }  # fmt: skip


def campaign(id: str, variation: str | None, **more: Any) -> dict[str, Any]:
    """A row of klaviyo__campaigns."""
    return {
        "campaign_id": id, "source_relation": "db.klaviyo", "variation_id": variation, "count_opened_email": 0,
        "count_placed_order": 0, "unique_count_placed_order": 0, "sum_revenue_placed_order": 0.0, **more,
    }  # fmt: skip


THEIRS: Models = {
    "klaviyo__events": [
        event("e1", "c1", variation_id="v1"),
        event("e2", None, last_touch_at=at("03-01 10:00"), numeric_value=70.0),
        event("e3", None, last_touch_type=None, last_touch_at=None),
    ],
    "klaviyo__campaigns": [
        campaign("c1", "v1", count_opened_email=2),
        campaign("c1", None, count_placed_order=1, unique_count_placed_order=1, sum_revenue_placed_order=70.0),
        {"campaign_id": "c2", "source_relation": "db.klaviyo"},
    ],
    "klaviyo__persons": [
        {"person_id": "p1", "source_relation": "db.klaviyo", "full_name": None, "total_count_received_sms": 1}
    ],
}
OURS: Models = {
    "klaviyo__events": [
        event("e1", "c1", variation_id="v1"),
        event("e2", None, variation_id="v1", numeric_value=70.0),
        event("e3", None, last_touch_type=None, last_touch_at=None),
    ],
    "klaviyo__campaigns": [
        campaign(
            "c1", "v1", count_opened_email=2, count_placed_order=1, unique_count_placed_order=1,
            sum_revenue_placed_order=70.000001,
        ),
        campaign("c2", None),
    ],
    "klaviyo__persons": [
        {"person_id": "p1", "source_relation": "db.klaviyo", "full_name": "Bob", "total_count_received_sms": 3}
    ],
}  # fmt: skip
BY_DESIGN = {
    "klaviyo__events": {"variation_id", "last_touch_at"},
    "klaviyo__campaigns": {
        "count_opened_email", "count_placed_order", "unique_count_placed_order", "sum_revenue_placed_order",
    },
    "klaviyo__persons": {"full_name", "total_count_received_sms"},
}  # fmt: skip


@pytest.fixture(params=["duckdb", "postgres"])
def account(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse with an event that is deleted."""
    address = postgres_database(tmp_path) if request.param == "postgres" else str(tmp_path / "w.duckdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    warehouse = warehouse_of(Settings())
    by_hand.put(warehouse, "event", by_hand.EVENTS[:1])
    with warehouse.session(writes=True) as session:
        session.change(f"UPDATE {session.name('klaviyo', 'event')} SET _fivetran_deleted = true")
        session.commit()
    return warehouse


def compared(*options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """What the command ends with, and what it says of each model."""
    done = CliRunner().invoke(main, ["compare-models", "--json", *options], catch_exceptions=False)
    return done.exit_code, {found["model"]: found for found in json.loads(done.output)}


def changed(models: Models, model: str, number: int, **more: Any) -> Models:
    rows = [dict(row) for row in models[model]]
    rows[number] |= more
    return {**models, model: rows}


def test_what_differs_by_design_is_as_expected(account: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a deleted event that they still have, and another name of the account, of which keys are made."""
    put(account, "klaviyo_models", OURS)
    more = {**THEIRS, "klaviyo__events": [*THEIRS["klaviyo__events"], event(by_hand.EVENTS[0]["id"], "c1")]}
    put(account, "fivetran_klaviyo", more)
    elsewhere = {
        model: [
            {**row, "source_relation": "", **({"unique_event_id": "another"} if "unique_event_id" in row else {})}
            for row in rows
        ]
        for model, rows in THEIRS.items()
    }
    put(account, "fivetran_1_3", elsewhere)

    kind = type(account)
    opened = kind.session

    def watched(self: Any, *, writes: bool) -> Any:
        assert not writes, "it only reads"
        return opened(self, writes=writes)

    monkeypatch.setattr(kind, "session", watched)
    status, found = compared("--schema", "fivetran_klaviyo")
    assert {model: set(found[model]["columns"]) for model in BY_DESIGN} == BY_DESIGN
    assert not any(each["unexpected"] for model in found.values() for each in model["columns"].values())
    assert (status, found["klaviyo__events"]["rows_only"]["theirs"]["unexpected"]) == (0, 0)
    assert found["klaviyo__events"]["rows"] == {"theirs": 4, "ours": 3}
    assert found.keys() == THEIRS.keys()
    (example,) = found["klaviyo__events"]["columns"]["variation_id"]["examples"]
    assert example == {"key": {"event_id": "e2"}, "theirs": None, "ours": "v1", "alone": False}

    status, found = compared("--schema", "fivetran_1_3")
    assert status == 0 and {"source_relation", "unique_event_id"} <= found["klaviyo__events"]["columns"].keys()


UNEXPECTED: dict[str, tuple[Callable[[Models], Models], str]] = {
    "a value": (lambda ours: changed(ours, "klaviyo__events", 0, campaign_name="Autumn"), "campaign_name: 1 rows"),
    "a credit that is gone": (
        lambda ours: changed(ours, "klaviyo__events", 1, last_touch_type=None, last_touch_at=None, variation_id=None),
        "last_touch_type: 1 rows",
    ),
    "a message event's variation": (
        lambda ours: changed(ours, "klaviyo__events", 0, variation_id="v2"),
        "variation_id: 1 rows",
    ),
    "a number": (lambda ours: changed(ours, "klaviyo__campaigns", 0, count_opened_email=3), "count_opened_email: 1"),
    "revenue": (
        lambda ours: changed(ours, "klaviyo__campaigns", 0, sum_revenue_placed_order=70.01),
        "sum_revenue_placed_order: 1 rows",
    ),
    "fewer text messages": (
        lambda ours: changed(ours, "klaviyo__persons", 0, total_count_received_sms=0),
        "total_count_received_sms: 1 rows",
    ),
    "a lost row": (
        lambda ours: {**ours, "klaviyo__events": ours["klaviyo__events"][:2]},
        "rows that only the package has: 1 rows\n                event_id e3\n",
    ),
    "a row too many": (
        lambda ours: {**ours, "klaviyo__persons": [*ours["klaviyo__persons"], {"person_id": "p2"}]},
        "rows that only ours has: 1 rows",
    ),
    "a row twice": (
        lambda ours: {**ours, "klaviyo__persons": [*ours["klaviyo__persons"]] * 2},
        "1 rows of ours have the key of another one",
    ),
    "a column less": (
        lambda ours: {**ours, "klaviyo__persons": [{"person_id": "p1", "source_relation": "db.klaviyo"}]},
        "columns that only the package has: full_name, total_count_received_sms",
    ),
    "a model less": (
        lambda ours: {name: rows for name, rows in ours.items() if name != "klaviyo__persons"},
        "ours is not there: `klaviyo-assets models` builds it",
    ),
}


@pytest.mark.parametrize("what", UNEXPECTED)
def test_what_does_not_is_unexpected(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs are in a file of their own, as the documents have it."""
    change, told = UNEXPECTED[what]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "w.duckdb")
    put(warehouse_of(Settings()), "klaviyo_models", change(OURS))
    put(warehouse_of(Settings(duckdb_path="reports.duckdb")), "main_klaviyo", THEIRS)
    options = ["compare-models", "--schema", "main_klaviyo", "--database", "reports.duckdb", "--examples", "1"]
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    assert done.exit_code == 1 and told in done.output[done.output.index("UNEXPECTED") :], done.output
    assert "All differences are by design" not in done.output


def test_what_can_not_be_compared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "w.duckdb")

    def said(*options: str) -> str:
        done = CliRunner().invoke(main, ["compare-models", *options], catch_exceptions=False)
        assert done.exit_code != 0
        return done.output

    assert "`klaviyo-assets sync` fills it" in said("--schema", "x")
    put(warehouse_of(Settings()), "klaviyo_models", OURS)
    assert "No model of Fivetran's packages is in x or y: --schema names" in said("--schema", "x", "--schema", "y")
    assert "klaviyo_models has our models: --schema names" in said("--schema", "klaviyo_models")
    assert "w.duckdb is the warehouse itself: leave it out" in said("--schema", "x", "--database", "w.duckdb")
    put(warehouse_of(Settings()), "odd", {"klaviyo__events": [{"id": "e1"}]})
    assert '"odd"."klaviyo__events" is no klaviyo__events: it has no column event_id.' in said("--schema", "odd")
    Path("notes.txt").write_text("no database")
    assert "--database notes.txt can't be opened: " in said("--schema", "x", "--database", "notes.txt")
    with duckdb.connect("reports.duckdb") as theirs:
        theirs.execute("CREATE SCHEMA Marts; CREATE TABLE marts.stg AS SELECT 'x' AS person_id")
        theirs.execute("CREATE VIEW marts.klaviyo__persons AS SELECT * FROM marts.stg; DROP TABLE marts.stg")
    assert "A model can't be read: Catalog Error: " in said("--schema", "MARTS", "--database", "reports.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "postgresql://nowhere/db")
    assert "--database is for DuckDB files" in said("--schema", "x", "--database", "w.duckdb")


def test_the_documents_say_why_each_difference_is(tmp_path: Path) -> None:
    text = (DOCUMENTS / "models.md").read_text()
    cells = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")}
    assert {reason.row for reason in REASONS} - cells == set()
