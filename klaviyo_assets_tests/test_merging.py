"""The account among definitions of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster_shared.libraries import DagsterLibraryRegistry

import klaviyo_assets
from klaviyo_assets import definitions
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.conftest import Project, only

OURS = ("sync", "backfill", "full_refresh", "models_job", "resync", "rewrite")


@dg.asset(group_name="core")
def mine() -> None: ...


@dg.job
def plain() -> None: ...


JOBS = [plain, dg.define_asset_job("reports", [mine])]


@pytest.mark.parametrize("theirs", [None, dg.multiprocess_executor.configured({"max_concurrent": 3}, name="theirs")])
@pytest.mark.parametrize("name", ["klaviyo", "shop_dk"])
def test_jobs_of_the_user_keep_their_executor_and_ours_keep_ours(
    name: str, theirs: dg.ExecutorDefinition | None
) -> None:
    merged = dg.Definitions.merge(
        build_definitions(Settings(name=name)), dg.Definitions(assets=[mine], jobs=JOBS, executor=theirs)
    )
    dg.Definitions.validate_loadable(merged)
    alone = dg.Definitions(assets=[mine], jobs=JOBS, executor=theirs)
    for job in ("plain", "reports", "__ASSET_JOB"):
        assert merged.resolve_job_def(job).executor_def is alone.resolve_job_def(job).executor_def, job
    for job in OURS:
        assert merged.resolve_job_def(f"{name}_{job}").executor_def is dg.in_process_executor, job
    groups = {spec.group_name for spec in merged.resolve_all_asset_specs() if spec.key != mine.key}
    assert groups == {f"{name}_{group}" for group in ("core", "tables", "snapshots", "models")}


def test_ours_run_where_the_user_wants_them() -> None:
    built = build_definitions(executor=dg.multiprocess_executor)
    assert {built.resolve_job_def(f"klaviyo_{job}").executor_def for job in OURS} == {dg.multiprocess_executor}


def test_alone_the_ui_materializes_in_one_process_too() -> None:
    assert definitions.defs.resolve_job_def("__ASSET_JOB").executor_def is dg.in_process_executor
    assert definitions.defs is definitions.defs, "built once"
    with pytest.raises(AttributeError, match="has no attribute 'definitely'"):
        definitions.definitely  # noqa: B018


def test_importing_builds_nothing() -> None:
    """Whoever gives settings of their own may have none, or wrong ones, in the environment."""
    code = (
        "from klaviyo_assets.definitions import build_definitions\nfrom klaviyo_assets.settings import Settings\n"
        "build_definitions(Settings(schema='mine', sync_interval=3600))"
    )
    environment = {**os.environ, "KLAVIYO_SYNC_INTERVAL": "PT7M", "KLAVIYO_SCHEMA": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class TheirIOManager(dg.ConfigurableIOManager):
    """Of a project that has it set up only where it runs."""

    token: str

    def handle_output(self, context: dg.OutputContext, obj: object) -> None: ...

    def load_input(self, context: dg.InputContext) -> None: ...


def test_accounts_and_a_project_share_nothing_but_the_graph(tmp_path: Path) -> None:
    """Neither a resource nor an executor: our jobs run where the project's own IO manager can't even be made."""
    settings = [
        Settings(name=name, schema=name, warehouse=str(tmp_path / "shops.duckdb")) for name in ("klaviyo", "shop_dk")
    ]

    @dg.asset(
        ins={"events": dg.AssetIn(["klaviyo", "event"], input_manager_key="klaviyo_io_manager")},
        deps=[dg.AssetDep(["shop_dk", "event"], partition_mapping=dg.AllPartitionMapping())],
        required_resource_keys={"klaviyo", "warehouse"},
    )
    def revenue(events: pd.DataFrame) -> float:
        return 0.0

    theirs = dg.Definitions(
        assets=[revenue],
        jobs=JOBS[:1],
        executor=dg.multiprocess_executor,
        resources={
            "io_manager": TheirIOManager(token=dg.EnvVar("TOKEN_OF_PRODUCTION")),
            **dict.fromkeys(("klaviyo", "warehouse", "account", "duckdb"), dg.ResourceDefinition.none_resource()),
        },
    )
    merged = dg.Definitions.merge(build_definitions(*settings), theirs)
    dg.Definitions.validate_loadable(merged)
    graph = merged.resolve_asset_graph()
    assert {tuple(key.path) for key in graph.get(revenue.key).parent_keys} == {
        ("klaviyo", "event"),
        ("shop_dk", "event"),
    }
    for account in settings:
        for job in OURS:
            nodes = merged.resolve_job_def(f"{account.name}_{job}").all_node_defs
            managers = {output.io_manager_key for node in nodes for output in node.output_defs}
            assert managers == {f"{account.name}_io_manager"}, job
        run = merged.resolve_job_def(f"{account.name}_resync").execute_in_process(
            run_config={"ops": {f"{account.name}__forget": {"config": {"confirm": "resync"}}}}
        )
        assert run.success


THEIR_PROJECT = {
    "dbt_project.yml": "{name: theirs, profile: theirs, flags: {send_anonymous_usage_stats: false}}",
    "profiles.yml": "theirs: {target: it, outputs: {it: {type: duckdb, path: '{file}', schema: marts}}}",
    "models/sources.yml": "sources: [{name: crm, schema: raw_crm, tables: [{name: event}]}]",
    "models/by_metric.sql": "SELECT metric_id, count(*) AS events FROM {{ source('crm', 'event') }} GROUP BY 1",
}


def by_dagster_dbt(folder: Path, file: str) -> tuple[dg.AssetsDefinition, object]:
    """Models as PyPI's `dagster-dbt` loads them; `.ci/matrix` installs it."""
    dagster_dbt = pytest.importorskip("dagster_dbt", reason="`make test-matrix` installs it")
    for name, text in THEIR_PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("{file}", file))
    project = dagster_dbt.DbtProject(folder, profiles_dir=folder)
    project.preparer.prepare(project)

    class Theirs(dagster_dbt.DagsterDbtTranslator):
        def get_asset_key(self, properties: Mapping[str, Any]) -> dg.AssetKey:
            if properties["resource_type"] == "source":
                return dg.AssetKey(["klaviyo", properties["name"]])
            return dg.AssetKey(["marts", properties["name"]])

    @dagster_dbt.dbt_assets(
        manifest=project.manifest_path, dagster_dbt_translator=Theirs(), required_resource_keys={"dbt"}
    )
    def models(context):
        yield from context.resources.dbt.cli(["build"], context=context).stream()

    return models, dagster_dbt.DbtCliResource(project_dir=project)


def by_themselves(folder: Path, file: str) -> tuple[dg.AssetsDefinition, object]:
    """The same, by a step of the project's own."""
    spec = dg.AssetSpec(["marts", "by_metric"], deps=[["klaviyo", "event"]], kinds={"dbt"})

    @dg.multi_asset(specs=[spec], required_resource_keys={"dbt"})
    def models() -> dg.MaterializeResult[Any]:
        with duckdb.connect(file) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
            sql = THEIR_PROJECT["models/by_metric.sql"].replace("{{ source('crm', 'event') }}", "raw_crm.event")
            connection.execute(f"CREATE OR REPLACE TABLE marts.by_metric AS {sql}")
        return dg.MaterializeResult()

    return models, dg.ResourceDefinition.none_resource()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of what dagster-dbt imports
@pytest.mark.parametrize("made", [by_dagster_dbt, by_themselves])
def test_models_of_the_project_read_our_tables(
    made: Callable[[Path, str], tuple[dg.AssetsDefinition, object]],
    project: Callable[..., Project],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    account = generate_account(events=40, profiles=5, days=1, seed=1)
    klaviyo = project(account, schema="raw_crm", tables=only("metric"))
    models, dbt = made(tmp_path / "theirs", klaviyo.settings.warehouse)

    @dg.asset(deps=[["marts", "by_metric"]])
    def largest() -> int:
        with duckdb.connect(klaviyo.settings.warehouse) as connection:
            (found,) = connection.execute("SELECT max(events) FROM marts.by_metric").fetchall()
        return int(found[0])

    theirs = dg.Definitions(
        assets=[models, largest],
        jobs=[dg.define_asset_job("their_models", [models, largest])],
        executor=dg.multiprocess_executor,
        resources={"dbt": dbt, "io_manager": TheirIOManager(token=dg.EnvVar("TOKEN_OF_PRODUCTION"))},
    )
    klaviyo.definitions = merged = dg.Definitions.merge(klaviyo.definitions, theirs)
    dg.Definitions.validate_loadable(merged)
    graph = merged.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["marts", "by_metric"])).parent_keys == {dg.AssetKey(["klaviyo", "event"])}
    assert graph.get(dg.AssetKey(["klaviyo", "event"])).is_materializable, "ours is theirs, not another one of that key"

    klaviyo.sync(first=-1)  # without what their IO manager needs
    job = merged.resolve_job_def("their_models")
    assert job.executor_def is dg.multiprocess_executor
    monkeypatch.setenv("TOKEN_OF_PRODUCTION", "secret")
    handled: list[object] = []
    monkeypatch.setattr(TheirIOManager, "handle_output", lambda self, context, value: handled.append(value))
    assert job.execute_in_process(instance=klaviyo.instance).success
    assert max(Counter(event.metric_id for event in account.events).values()) in handled


def test_dagster_knows_which_version_of_this_a_code_location_has() -> None:
    assert DagsterLibraryRegistry.get()["klaviyo-assets"] == klaviyo_assets.__version__
