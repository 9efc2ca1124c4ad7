"""Taking over a schema that Fivetran has filled: the report, the adoption, and the syncs that follow."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from klaviyo_assets import clock
from klaviyo_assets.adoption.history import beginning, kept_history
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.cli.main import main
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES, table
from klaviyo_assets.warehouse.location import kind_of, located
from klaviyo_assets.warehouse.results import TableSurvey
from klaviyo_assets_tests.adoption.fivetran import leave_schema
from klaviyo_assets_tests.conftest import only
from klaviyo_assets_tests.documents import DOCUMENTS
from klaviyo_assets_tests.expected import differences
from klaviyo_assets_tests.warehouse.bigquery import server as bigquery
from klaviyo_assets_tests.warehouse.databases import postgres_database
from klaviyo_assets_tests.warehouse.snowflake import server as snowflake

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
IMPORTED = (
    "campaign",
    "campaign_list",
    "campaign_message",
    "flow_message",
    "global_exclusion",
    "list",
    "metric",
    "tags",
)
Serve = Callable[[Account], Sandbox]


@pytest.fixture(params=["duckdb", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return located(postgres_database(tmp_path)) if request.param == "postgres" else str(tmp_path / "warehouse.duckdb")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve an account, whose key is in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)  # the sandbox has no limits
    served: list[Sandbox] = []

    def start(account: Account) -> Sandbox:
        served.append(Sandbox(account).__enter__())
        monkeypatch.setenv("KLAVIYO_API_URL", served[-1].url)
        return served[-1]

    yield start
    for sandbox in served:
        sandbox.__exit__(None, None, None)


def command(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done


def report(*arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("adopt", "--json", *arguments, code=code).stdout)
    return found


def said(found: dict[str, Any], kind: str) -> str:
    """All findings of a kind, a line each, with the names of their tables in front."""
    return "\n".join(f"{each['table'] or '-'} {each['text']}" for each in found["findings"] if each["kind"] == kind)


PLANTED = {
    "problem": {
        "metric has 1 keys (id) that several rows have.": (
            "ALTER TABLE metric DROP CONSTRAINT IF EXISTS metric_pkey",
            "INSERT INTO metric SELECT * FROM metric LIMIT 1",
        ),
        "coupon has 1 rows without a key (id).": (
            "ALTER TABLE coupon DROP CONSTRAINT IF EXISTS coupon_pkey",
            "ALTER TABLE coupon ALTER COLUMN id DROP NOT NULL",
            "INSERT INTO coupon (id) VALUES (NULL)",
        ),
        "flow is a view.": ("ALTER TABLE flow RENAME TO flow_rows", "CREATE VIEW flow AS SELECT * FROM flow_rows"),
        "tags is in history mode (_fivetran_active)": ("ALTER TABLE tags ADD COLUMN _fivetran_active boolean",),
        "list_tag has no list_id, by which rows are found": ("ALTER TABLE list_tag RENAME COLUMN list_id TO of_list",),
        "event has personId in place of person_id. Rename it: ALTER TABLE": (
            'ALTER TABLE event RENAME COLUMN person_id TO "personId"',
        ),
        "campaign_tag is called campaignTag here. Rename it: ALTER TABLE": (
            'ALTER TABLE campaign_tag RENAME TO "campaignTag"',
        ),
        "list has _fivetran_id, which may not be NULL and which nothing writes": (
            "ALTER TABLE list ADD COLUMN _fivetran_id text",
            "UPDATE list SET _fivetran_id = id",
            "ALTER TABLE list ALTER COLUMN _fivetran_id SET NOT NULL",
        ),
        "campaign, segment in the schema klaviyo_staging, where syncs keep what they import, would be replaced.": (
            "CREATE SCHEMA klaviyo_staging",
            "CREATE TABLE klaviyo_staging.campaign (id text)",
            "CREATE TABLE klaviyo_staging.my_own (id text)",
            "CREATE VIEW klaviyo_staging.segment AS SELECT 1 AS id",
        ),
        "tag_group _fivetran_synced is ": (
            "ALTER TABLE tag_group DROP COLUMN _fivetran_synced",
            "ALTER TABLE tag_group ADD COLUMN _fivetran_synced text",
            "UPDATE tag_group SET _fivetran_synced = 'yesterday'",
        ),
    },
    "choice": {
        "person has no phone_number, ": ("ALTER TABLE person DROP COLUMN phone_number",),
        "person email seems to be hashed.": (
            "UPDATE person SET email = md5(email)",
            "ALTER TABLE event ADD COLUMN property_contact_email json",  # which Postgres compares with nothing
            "UPDATE event SET property_contact_email = '{}'",
        ),
        "event has its properties in custom_property_fields: set `packing: packed`": (
            "ALTER TABLE event ADD COLUMN custom_property_fields text",
        ),
    },
    "altered": {
        "campaign_list list_id is ": (
            "ALTER TABLE campaign_list DROP CONSTRAINT IF EXISTS campaign_list_pkey",
            "ALTER TABLE campaign_list DROP COLUMN list_id",
            "ALTER TABLE campaign_list ADD COLUMN list_id bigint DEFAULT 7",
        ),
        "segment_tag has no _fivetran_deleted: added": ("ALTER TABLE segment_tag DROP COLUMN _fivetran_deleted",),
    },
    "later": {"form is not here: the first sync makes it.": ()},
    "kept": {
        "as long as it holds what comes: person.latitude.": (
            "ALTER TABLE person DROP COLUMN latitude",
            "ALTER TABLE person ADD COLUMN latitude double precision",
        ),
        "campaign has is_segmented, excluded_lists, which nothing writes from now on.": (
            "ALTER TABLE campaign ADD COLUMN is_segmented boolean",
            "ALTER TABLE campaign ADD COLUMN excluded_lists text",
        ),
        "- Tables that nothing writes from now on: flow_rows, list_person, my_own, segment_person. The settings "
        "`tables` and `memberships` turn on list_person, segment_person.": ("CREATE TABLE my_own (id text)",),
        "segment has 2 rows that are flagged as deleted": (
            "UPDATE segment SET _fivetran_deleted = true WHERE id IN (SELECT id FROM segment ORDER BY id LIMIT 2)",
        ),
    },
}
"""Kind of finding -> how one begins -> what causes it."""


def test_the_report_names_each_difference_and_changes_nothing(
    address: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = generate_account(events=150, profiles=20, days=5, seed=3)
    serve(account)
    planted = [statement for found in PLANTED.values() for cause in found.values() for statement in cause]
    in_postgres = kind_of(address) == "postgres"
    if in_postgres:
        planted.append('ALTER TABLE coupon_code RENAME TO "COUPON_CODE"')
    else:  # where Fivetran makes no keys, and where capitals are only another way to write a name
        planted = [each for each in planted if "DROP CONSTRAINT" not in each and "DROP NOT NULL" not in each]
        planted += ["ALTER TABLE coupon_code RENAME TO _code", 'ALTER TABLE _code RENAME TO "COUPON_CODE"']
    leave_schema(address, account, account.clock.now(), more=planted)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    warehouse = warehouse_of(Settings())
    before = warehouse.survey(TABLES)
    found = report(code=1)
    for kind, texts in PLANTED.items():
        for text in texts:
            assert text.lower() in said(found, kind).lower(), f"{text}\n\n{said(found, kind)}"
    assert ("coupon_code is called COUPON_CODE here" in said(found, "problem")) == in_postgres
    printed = command("adopt", "--apply", "--yes", code=1).output
    assert "Problems: each keeps the schema from being taken over:" in printed
    assert printed.endswith("Error: Nothing was taken over: mend the problems first.\n")
    assert "The first sync and the backfill read" not in printed
    assert warehouse.survey(TABLES) == before and not warehouse.states()


@pytest.mark.parametrize("address", ["duckdb", pytest.param("postgres", marks=pytest.mark.soak)], indirect=True)
def test_a_schema_is_taken_over_and_synced_on(address: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    take_over(address, serve, monkeypatch)


@pytest.mark.soak
def test_a_large_schema_is_taken_over(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    take_over(address, serve, monkeypatch, many=100_000)


@pytest.mark.emulators
def test_a_schema_at_snowflake_is_taken_over(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    take_over(snowflake.chosen(tmp_path, monkeypatch, "secret"), serve, monkeypatch)


@pytest.mark.emulators
def test_a_schema_in_bigquery_is_taken_over(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    take_over(bigquery.chosen(tmp_path, monkeypatch, "e30"), serve, monkeypatch)


def take_over(address: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, *, many: int = 20_000) -> None:
    """many: events of the history in a DuckDB file."""
    kind = kind_of(address)
    in_postgres = kind == "postgres"
    events = many if kind == "duckdb" else 600
    account = generate_account(events=events, profiles=max(60, events // 100), days=120, seed=5)
    sandbox = serve(account)
    now = account.clock.now()
    monkeypatch.setattr(clock, "machine_time", account.clock.now)
    monkeypatch.setenv("KLAVIYO_MODELS", "false")
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps(only(*IMPORTED)))
    monkeypatch.setenv("KLAVIYO_BLOCKED_COLUMNS", json.dumps({"person": ["phone_number"]}))
    metric = account.all("metric")[0].id
    missed, gone = (
        next(e for e in account.events if e.occurred_at > (now - ago).timestamp()) for ago in (50 * DAY, 70 * DAY)
    )
    leave_schema(
        address,
        account,
        now - 20 * MINUTE,
        more=(
            f"DELETE FROM event WHERE id = '{missed.id}'",  # it came too late for Fivetran
            "ALTER TABLE person DROP COLUMN phone_number",
            "ALTER TABLE campaign ADD COLUMN excluded_lists text",
            "UPDATE campaign SET excluded_lists = '2'",
            "DROP TABLE flow_message",
            "ALTER TABLE event ADD COLUMN property_of_old text",
            "UPDATE event SET property_of_old = 'x'",
            "ALTER TABLE event ADD COLUMN property_seen boolean DEFAULT false",
            "UPDATE event SET property_seen = true",
            "ALTER TABLE event ALTER COLUMN property_seen SET NOT NULL",
            *(
                ["ALTER TABLE event ADD property_cents numeric GENERATED ALWAYS AS (property_value * 100) STORED"]
                * in_postgres
            ),
            "CREATE VIEW my_view AS SELECT id, type, campaign_id, person_id, _fivetran_deleted FROM event",
            "CREATE VIEW my_metrics AS SELECT id, name FROM metric",
        ),
    )
    warehouse = warehouse_of(Settings())
    events = ["id", "datetime", "metric_id", "person_id", "type", "uuid", "property_value", "_fivetran_synced"]
    before = {row[0]: row for row in warehouse.rows("event", events)}
    people = {id for (id,) in warehouse.rows("person", ["id"])}
    types = warehouse.survey(TABLES).tables

    account.remove_event(gone.id)
    profile = account.all("profile")[0].id
    account.delete("profile", profile)
    account.delete("campaign", account.all("campaign")[0].id)
    account.clock.advance(MINUTE)
    late = account.add_event(metric, now - 3 * DAY)
    new = account.add_event(metric, account.clock.now() - MINUTE)
    account.clock.advance(10 * MINUTE)

    found = report()
    assert "person has no phone_number" not in said(found, "choice"), "it is blocked"
    assert "flow_message is not here" in said(found, "later")
    assert 0 < found["to_read"]["events"] < len(before) / 5
    assert "event has the days from" in said(found, "kept")
    everything = report("--history", "read")
    assert everything["to_read"]["events"] > len(before) / 2 and "event has the days" not in said(everything, "kept")
    first = (now - 30 * DAY).date()
    assert f"event has the days from {first}" in said(report("--from", f"{first}"), "kept")
    assert not warehouse.states()
    report("--apply", "--yes")
    assert {row[0]: row for row in warehouse.rows("event", events)} == before
    kept = warehouse.state("event")
    assert kept and kept.synced_from and kept.synced_through and kept.synced_through <= now - 20 * MINUTE
    assert "is synced by klaviyo_assets already" in said(report(code=1), "problem")

    requests = len(sandbox.requests)
    command("sync")
    command("backfill")
    read = [each for each in sandbox.requests[requests:] if each.path.endswith("/events")]
    after = {row[0]: row for row in warehouse.rows("event", events)}
    deleted = {id for id, flag in warehouse.rows("event", ["id", "_fivetran_deleted"]) if flag}
    assert len(warehouse.rows("event", ["id"])) == len(after), "an event is there twice"
    assert after.keys() - before.keys() >= {missed.id, late.id, new.id} and before.keys() <= after.keys()
    assert {gone.id} <= deleted <= {gone.id}
    assert after.keys() - deleted == {event.id for event in account.events}
    unread = [id for id, row in before.items() if row[1] < kept.synced_through.replace(tzinfo=None) - 8 * DAY]
    same = [id for id in unread if after[id] == before[id]]
    assert len(same) > 0.9 * len(unread), "the history was read again"
    changed = [id for id in unread if after[id][:-1] != before[id][:-1] and before[id][3] != profile]
    assert not changed
    assert len(read) < 60
    old = dict(warehouse.rows("event", ["id", "property_of_old"]))
    assert {old[id] for id in same} == {"x"} and old[missed.id] is None
    read_again = [id for id in before if before[id][1] > kept.synced_through.replace(tzinfo=None) and id not in deleted]
    assert {old[id] for id in read_again} == {None}, "a property that Klaviyo no longer has is still there"
    own = {id: seen for id, seen in warehouse.rows("event", ["id", "property_seen"]) if id in before}
    assert set(own.values()) == {True}, "a column that can't be empty is no property: its values are the user's"
    flagged = {id for id, flag in warehouse.rows("person", ["id", "_fivetran_deleted"]) if flag}
    assert flagged <= {profile} and people <= {id for (id,) in warehouse.rows("person", ["id"])}
    assert ("2",) in warehouse.rows("campaign", ["excluded_lists"])
    wrong = [
        problem
        for name in ("campaign", "campaign_list", "campaign_message", "metric", "flow", "flow_message", "list", "tags")
        for problem in differences(account, warehouse, name, table(name).primary_key)
    ]
    assert not [problem for problem in wrong if "excluded_lists" not in problem]
    for name, surveyed in warehouse.survey(TABLES).tables.items():  # nothing has got another type than Fivetran's
        if name in types:
            changed = {column for column, native in types[name].types.items() if surveyed.types[column] != native}
            if kind == "snowflake":  # whose texts become longer in place
                changed -= {column for column, native in types[name].types.items() if native == "VARCHAR(256)"}
            assert not {column for column in changed if types[name].types[column] in ("text", "VARCHAR")}, name
            assert changed <= {"property_price", "custom_drop_table_person_"}, "something longer has come"


def test_a_copy_that_was_restored_is_taken_over_again(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not due goes by Dagster's event log, which knows the adoption that was undone."""
    account = generate_account(events=60, profiles=5, days=20, seed=3)
    serve(account)
    file, copy = tmp_path / "warehouse.duckdb", tmp_path / "before.duckdb"
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", str(file))
    monkeypatch.setenv("KLAVIYO_MODELS", "false")
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps(only("campaign", "metric")))
    leave_schema(str(file), account, account.clock.now())
    shutil.copy(file, copy)
    read = []
    for _ in range(2):
        shutil.copy(copy, file)
        report("--apply", "--yes")
        command("sync")
        read.append(sorted({key for key in warehouse_of(Settings()).states() if key[1] != "range"}))
    assert ("campaign", "snapshot") in read[0] and ("event", "event_reconciliation") in read[0]
    assert read[1] == read[0]


@pytest.mark.parametrize(
    ("first", "last", "synced", "since", "kept"),
    [
        ("2026-03-01T10:00", "2026-05-04T18:00", "2026-05-04T18:05", None, ("2026-03-02", "2026-05-04")),
        ("2026-03-01T00:00", "2026-05-04T18:00", "2026-05-03T09:00", None, ("2026-03-01", "2026-05-03")),
        ("2026-03-01T10:00", "2026-05-04T18:00", None, "2026-04-01", ("2026-04-01", "2026-05-04")),
        ("2026-05-04T01:00", "2026-05-04T18:00", "2026-05-04T18:05", None, None),
        (None, None, "2026-05-04T18:05", None, None),
    ],
)
def test_only_days_that_have_been_read_to_their_ends_are_kept(
    first: str | None, last: str | None, synced: str | None, since: str | None, kept: tuple[str, str] | None
) -> None:
    def at(text: str | None) -> dt.datetime | None:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) if text else None

    found = kept_history(TableSurvey({}, {}, first=at(first), last=at(last), synced_at=at(synced)), at(since))
    assert (found and (found.start, found.end)) == (kept and (at(kept[0]), at(kept[1])))


@pytest.mark.parametrize(
    ("events", "begins"),
    [
        ({"2005-04-01": 1, "2026-03-01": 500, "2026-05-01": 500}, "2026-03-01"),
        ({"2005-04-01": 1, "2015-04-01": 3, "2026-03-01": 500, "2026-03-02": 500}, "2026-03-01"),
        ({"2005-04-01": 100, "2026-03-01": 500, "2026-03-02": 500}, None),
        ({"2026-02-20": 1, "2026-03-01": 500, "2026-05-01": 1}, None),
        ({}, None),
    ],
)
def test_a_few_events_that_are_dated_back_do_not_begin_a_history(events: dict[str, int], begins: str | None) -> None:
    found = beginning({dt.date.fromisoformat(day): count for day, count in events.items()})
    assert found == (dt.date.fromisoformat(begins) if begins else None)


def test_what_klaviyo_says_of_the_days_that_are_kept(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = generate_account(events=2_000, profiles=20, days=60, seed=3)
    sandbox = serve(account)
    now = account.clock.now()
    address = str(tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    limited = f"DELETE FROM event WHERE datetime < TIMESTAMPTZ '{now - 40 * DAY}'"
    dated_back = "INSERT INTO event (id, datetime) VALUES ('dated back', '2005-04-01')"
    leave_schema(address, account, now - 20 * DAY, more=(limited, dated_back))

    found = report()
    assert f"event has the days from {(now - 39 * DAY).date()} to" in said(found, "kept")
    assert f"event begins with {(now - 40 * DAY).date()} here, and with" in said(found, "choice")
    unread = sum(event.occurred_at > (now - 28 * DAY).timestamp() for event in account.events)
    assert 0.5 * unread < found["to_read"]["events"] < 2 * unread, "what came since Fivetran stopped is left out"
    assert found["to_read"]["seconds"][0] > found["rows"]["metric"], "each metric is compared, one a second"
    monkeypatch.setenv("KLAVIYO_HISTORY_START", str((now - 38 * DAY).date()))
    assert "event begins with" not in said(report(), "choice")

    refused = command("adopt", "--json", "--apply", code=1)
    assert json.loads(refused.stdout)["findings"] and "Is Fivetran's connection paused?" in refused.stderr
    assert (
        "--history read keeps nothing" in command("adopt", "--history", "read", "--from", "2026-01-01", code=2).stderr
    )
    sandbox.account.keys["pk_sandbox"] = frozenset({"accounts:read", "events:read", "profiles:read"})
    assert "event can't be compared with Klaviyo's numbers: the key lacks the scope metrics:read" in said(
        report(), "choice"
    )


def test_an_event_of_the_future_is_none_that_has_been_read_to(address: str) -> None:
    account = generate_account(events=50, profiles=5, days=5, seed=3)
    in_a_year = f"TIMESTAMPTZ '{account.clock.now() + 365 * DAY:%Y-%m-%d}'"
    leave_schema(
        address,
        account,
        account.clock.now(),
        more=(
            f"UPDATE event SET datetime = {in_a_year} WHERE id IN (SELECT id FROM event ORDER BY id LIMIT 2)",
            "UPDATE event SET _fivetran_synced = NULL WHERE id = (SELECT min(id) FROM event)",
            "UPDATE event SET _fivetran_synced = TIMESTAMPTZ '2999-01-01' WHERE _fivetran_synced IS NOT NULL",
        ),
    )
    found = warehouse_of(Settings(warehouse=address)).survey([table("event")]).tables["event"]
    assert found.last and account.clock.now() - 5 * DAY < found.last <= account.clock.now()


def test_the_query_of_the_document_shows_days_that_differ() -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", (DOCUMENTS / "from_fivetran.md").read_text(), re.DOTALL)
    with duckdb.connect() as connection:
        for schema, days in (("klaviyo", "1, 1, 2, 3"), ("klaviyo_new", "1, 1, 2, 2")):
            connection.execute(
                f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.event AS SELECT DATE '2026-05-01' + day::INTEGER "
                f"AS datetime, false AS _fivetran_deleted FROM (SELECT unnest([{days}]) AS day)"
            )
        found = [(day.day, theirs, ours) for day, theirs, ours in connection.execute(query).fetchall()]
    assert found == [(3, 1, 2), (4, 1, None)]
