"""The component in a project of Dagster's: its attributes, its translation, and several of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox
from dagster.components.testing.test_cases import TestTranslation

from klaviyo_assets import KlaviyoAssetProps, KlaviyoComponent
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.commands import environment
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.documents import README

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # Dagster's own, as it loads components

SHOP: dict[str, Any] = {"name": "shop", "schema": "shop", "api_key": "{{ env.KLAVIYO_KEY_SHOP }}", "models": False}
EVENT = dg.AssetKey(["shop", "event"])
SECRET = "pk_verysecret"


def component(attributes: dict[str, Any], cls: type[KlaviyoComponent] = KlaviyoComponent) -> KlaviyoComponent:
    return cls.resolve_from_yaml(yaml.safe_dump({**SHOP, **attributes}))


def definitions(attributes: dict[str, Any], cls: type[KlaviyoComponent] = KlaviyoComponent) -> dg.Definitions:
    return component(attributes, cls).build_defs(dg.ComponentTree.for_test().load_context)


def test_attributes_are_the_settings_by_the_same_names() -> None:
    schema = KlaviyoComponent.get_model_cls().model_json_schema()["properties"]  # type: ignore[union-attr]
    described = {
        "schema" if name == "schema_name" else name: f.description for name, f in Settings.model_fields.items()
    }
    assert {name: schema[name].get("description") for name in described} == described
    assert schema.keys() - described.keys() == {"api_key", "hash_salt", "op", "translation"}
    given: dict[str, Any] = {
        "history_start": "2022-01-01",
        "sync_interval": "PT30M",
        "overlap": 7200,
        "tables": {"image": True},
        "blocked_columns": {"person": ["phone_number"]},
        "owners": ["team:data"],
        "delete_guard": 0.25,
        "rate_share": 0.5,
    }
    assert component(given).settings == Settings(**{**SHOP, "api_key": dg.EnvVar("KLAVIYO_KEY_SHOP"), **given})


def test_secrets_are_in_no_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_KEY_SHOP", SECRET)
    monkeypatch.setenv("PLACE", f"postgresql://loader:{SECRET}@db/shop")
    given: dict[str, Any] = {"hash_salt": "{{ env.SALT }}", "hashed_columns": {"person": ["email"]}}
    built = definitions(given)
    account = (built.resources or {})["shop_account"]
    assert isinstance(account, KlaviyoAccount)
    assert (account.api_key_variable, account.hash_salt_variable) == ("KLAVIYO_KEY_SHOP", "SALT")
    given["warehouse"] = "{{ env('PLACE') }}"
    assert component(given).settings.warehouse == "postgresql://loader@db/shop"
    assert SECRET not in repr(built.resources) + repr(component(given))
    with pytest.raises(ValueError, match=r"api_key: it has to be a variable .*env\.KLAVIYO_API_KEY") as caught:
        definitions({"api_key": SECRET})
    assert SECRET not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Accessing `{{automation_condition:DeprecationWarning")  # in Dagster's own cases
class TestTranslationOfAssets(TestTranslation):
    """The cases that Dagster has for the components of its own."""

    def test_translation(
        self,
        attributes: dict[str, Any],
        assertion: Callable[[dg.AssetSpec], bool],
        key_modifier: Callable[[dg.AssetKey], dg.AssetKey] | None,
    ) -> None:
        if "partitions_def" in attributes:
            with pytest.raises(ValueError, match=r"partitions\. They can't be chosen"):
                definitions({"translation": attributes})
            return
        built = definitions({"translation": attributes})
        key = key_modifier(EVENT) if key_modifier else EVENT
        assert assertion(built.resolve_asset_graph().get(key).to_asset_spec())
        dg.Definitions.validate_loadable(built)


def test_tags_and_pool_are_those_of_every_step() -> None:
    op = {
        "tags": {"team": "growth"},
        "pool": "klaviyo",
        "backfill_policy": {"type": "multi_run", "max_partitions_per_run": 7},
    }
    built = definitions({"op": op, "models": True, "memberships": "weekly", "predictive_analytics": "weekly"})
    jobs = ["sync", "resync", "rewrite", *(["models_job"] if is_installed() else [])]
    steps = [node for job in jobs
             for node in built.resolve_job_def(f"shop_{job}").all_node_defs]  # fmt: skip
    assert len(steps) > 40
    for step in steps:
        assert isinstance(step, dg.OpDefinition)
        assert (step.tags["team"], step.pool) == ("growth", "klaviyo"), step.name
    assert {step.tags.get("dagster/priority") for step in steps} == {None, "-900", "-1000"}, "those that come last"
    graph = built.resolve_asset_graph()
    assert graph.get(EVENT).backfill_policy == dg.BackfillPolicy.multi_run(7)


def test_a_subclass_decides_about_assets_and_steps(project: Callable[..., Project]) -> None:
    ran: list[tuple[str, int]] = []

    class Ours(KlaviyoComponent):
        def get_asset_spec(self, props: KlaviyoAssetProps) -> dg.AssetSpec:
            spec = super().get_asset_spec(props)
            return spec.replace_attributes(group_name=props.kind) if props.table else spec

        def execute(self, context: dg.AssetExecutionContext, results: Iterator[Any]) -> Iterator[Any]:
            count = 0
            for result in super().execute(context, results):
                count += 1
                yield result
            ran.append((context.op_def.name, count))

    klaviyo = project(generate_account(events=5, profiles=5, days=3), tables=only("metric"))
    given = {
        "name": "klaviyo",
        "api_key": "{{ env.KLAVIYO_API_KEY }}",
        "api_url": klaviyo.settings.api_url,
        "warehouse": klaviyo.settings.warehouse,
        "tables": klaviyo.settings.tables,
        "translation": {"tags": {"kind": "{{ props.kind }}", "of": "{{ props.name }}"}},
    }
    klaviyo.definitions = definitions(given, Ours)
    metric = klaviyo.definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo_staging", "metric"])).to_asset_spec()
    assert metric.group_name == "snapshot" and (metric.tags["kind"], metric.tags["of"]) == ("snapshot", "metric")
    result = klaviyo.run("klaviyo_full_refresh")
    assert result.success, failures(result)
    assert set(ran) >= {("klaviyo_staging__metrics", 2), ("klaviyo__metric", 1)}, "a snapshot comes with its check"


def test_a_project_may_have_several_accounts() -> None:
    with create_defs_folder_sandbox() as sandbox:
        for folder in ("Shop-DK", "shop_se"):
            path = sandbox.scaffold_component(component_cls=KlaviyoComponent, defs_path=folder)
        with sandbox.build_all_defs() as built:
            dg.Definitions.validate_loadable(built)
            jobs = {job.name for job in built.resolve_all_job_defs()}
            assert {"shop_dk_sync", "shop_se_sync"} <= jobs
        for given, says in (
            ({"name": "shop_dk"}, "Two accounts have the name shop_dk: give each a `name` of its own"),
            ({"schema": "shop_dk"}, "would both write to the schema shop_dk"),
        ):
            with (
                sandbox.swap_defs_file(path / "defs.yaml", defs(SHOP | given)),
                pytest.raises(Exception, match="Error while building definitions for Shop-DK") as caught,
                sandbox.build_all_defs(),
            ):
                pass
            assert isinstance(caught.value.__cause__, ValueError) and says in str(caught.value.__cause__)


def defs(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"type": "klaviyo_assets.KlaviyoComponent", "attributes": attributes}


def test_the_yaml_of_the_readme_is_a_component() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    (shown,) = [yaml.safe_load(block) for block in blocks if "klaviyo_assets.KlaviyoComponent" in block]
    with create_defs_folder_sandbox() as sandbox:
        sandbox.scaffold_component(component_cls=KlaviyoComponent, defs_path="shop", defs_yaml_contents=shown)
        with sandbox.build_all_defs() as built:
            dg.Definitions.validate_loadable(built)
            event = built.resolve_asset_graph().get(dg.AssetKey(["raw", "shop", "event"])).to_asset_spec()
            assert (event.group_name, event.tags["team"]) == ("shop_table", "growth")


def test_scaffolding_writes_what_was_asked_for() -> None:
    with create_defs_folder_sandbox() as sandbox:
        plain = sandbox.scaffold_component(component_cls=KlaviyoComponent, defs_path="2-shops")
        asked = sandbox.scaffold_component(
            component_cls=KlaviyoComponent,
            defs_path="any",
            scaffold_params={
                "name": "shop",
                "db_schema": "raw",
                "warehouse": "md:shop",
                "api_key_variable": "KEY_SHOP",
            },
        )
        text = (asked / "defs.yaml").read_text()
        with sandbox.build_all_defs() as built:
            dg.Definitions.validate_loadable(built)
        uncommented = yaml.safe_load(text.replace("  # Any", "  ## Any").replace("  # ", "  "))["attributes"]
        assert definitions(uncommented).resolve_asset_graph().get(dg.AssetKey(["raw", "shop", "event"])).group_name
        written = [yaml.safe_load((path / "defs.yaml").read_text())["attributes"] for path in (plain, asked)]
        assert written[0] == {
            "name": "klaviyo_2_shops",
            "schema": "klaviyo_2_shops",
            "warehouse": "data/warehouse.duckdb",
            "api_key": "{{ env.KLAVIYO_API_KEY }}",
        }
        assert written[1] == {
            "name": "shop",
            "schema": "raw",
            "warehouse": "md:shop",
            "api_key": "{{ env.KEY_SHOP }}",
        }


@pytest.mark.soak  # `make dist` tries them too, with a project that `create-dagster` has made
def test_the_commands_of_dagster_know_it(tmp_path: Path) -> None:
    """As a user types them, in a project as `create-dagster` makes one; that one makes it, test_dist.py tries."""
    pytest.importorskip("dagster_dg_cli", reason="dagster-dg-cli is not installed: it brings 30 packages")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "proj"\nversion = "0.1.0"\n\n[tool.dg]\ndirectory_type = "project"\n\n'
        '[tool.dg.project]\nroot_module = "proj"\n'
    )
    defs = tmp_path / "src" / "proj" / "defs"
    defs.mkdir(parents=True)
    for folder in (defs.parent, defs):
        (folder / "__init__.py").touch()
    (defs.parent / "definitions.py").write_text(
        "from pathlib import Path\n\nfrom dagster import definitions, load_from_defs_folder\n\n\n"
        "@definitions\ndef defs():\n    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    path = os.pathsep.join([str(tmp_path / "src"), str(Path(__file__).parents[1])])

    def dg_(*arguments: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dg")), *arguments],
            cwd=tmp_path,
            env=environment(PYTHONPATH=path, KLAVIYO_MODELS="false", KLAVIYO_TABLES=json.dumps(only("list"))),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dg_("scaffold", "defs", "klaviyo_assets.KlaviyoComponent", "shop", "--warehouse", "data/raw.duckdb")
    dg_("check", "defs")
    with Sandbox(generate_account(events=20, profiles=10, days=2)) as klaviyo:
        (tmp_path / ".env").write_text(f"KLAVIYO_API_KEY=pk_sandbox\nKLAVIYO_API_URL={klaviyo.url}\n")
        dg_("launch", "--job", "shop_sync")
    with duckdb.connect(tmp_path / "data" / "raw.duckdb", read_only=True) as warehouse:
        events, people = (warehouse.sql(f"FROM shop.{table}").count("*").fetchall() for table in ("event", "person"))
    assert (events, people) == ([(20,)], [(10,)])
