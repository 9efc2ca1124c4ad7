"""The account among definitions of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster_shared.libraries import DagsterLibraryRegistry

import klaviyo_assets
from klaviyo_assets import definitions
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings

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


def test_dagster_knows_which_version_of_this_a_code_location_has() -> None:
    assert DagsterLibraryRegistry.get()["klaviyo-assets"] == klaviyo_assets.__version__
