"""Where Fivetran's own packages are, they build the same account: `compare-models` finds only what is by design.

FIVETRAN_DBT_PACKAGES names a folder as `dbt deps` leaves it, `dbt_packages`: klaviyo and what it needs, with or without
shopify_holistic_reporting. See CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from klaviyo_assets.cli.main import main
from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.sample_shop import write_shopify
from klaviyo_assets.models.targets import duckdb
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.models import by_hand
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.fuzz import RandomAccount

PACKAGES = os.environ.get("FIVETRAN_DBT_PACKAGES", "")
KLAVIYO = ("events", "person_campaign_flow", "campaigns", "flows", "persons")
SHOPIFY = ("orders_attribution", "customer_enhanced", "daily_customer_metrics")

SEEDS = range(8) if PACKAGES else ()
pytestmark = pytest.mark.skipif(
    not PACKAGES, reason="FIVETRAN_DBT_PACKAGES names no folder with Fivetran's dbt packages"
)


def build_theirs(folder: Path, database: Path) -> None:
    """Build the packages' models into the schema `theirs`."""
    with_shop = (Path(PACKAGES) / "shopify_holistic_reporting").is_dir()
    project = {
        "name": "theirs",
        "version": "1.0.0",
        "config-version": 2,
        "profile": "theirs",
        "packages-install-path": str(Path(PACKAGES).absolute()),
        "models": {
            package: {"+schema": None, "staging": {"+schema": None}, "intermediate": {"+schema": None}}
            for package in ("klaviyo", *(("shopify", "shopify_holistic_reporting") if with_shop else ()))
        },
        "vars": {
            "klaviyo_database": database.stem,
            "klaviyo_schema": "klaviyo",
            "shopify_database": database.stem,
            "shopify_schema": "shop",
            "shopify_using_metafield": False,
            "fivetran__remove_empty_table_warnings": True,
        },
    }
    output = {"type": "duckdb", "path": str(database), "schema": "theirs", "settings": {"TimeZone": "UTC"}}
    folder.mkdir()
    (folder / "dbt_project.yml").write_text(json.dumps(project))
    (folder / "profiles.yml").write_text(json.dumps({"theirs": {"target": "duckdb", "outputs": {"duckdb": output}}}))
    models = [f"klaviyo__{name}" for name in KLAVIYO]
    models += [f"shopify_holistic_reporting__{name}" for name in SHOPIFY if with_shop]
    places = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--target-path", str(folder / "target")]
    with forked(["run", *places, "--select", *(f"+{model}" for model in models)], folder, {}) as lines:
        said = "".join(lines)
    results = folder / "target" / "run_results.json"
    assert results.exists(), said
    ended = {result["unique_id"]: result["status"] for result in json.loads(results.read_text())["results"]}
    assert ended and set(ended.values()) == {"success"}, said


def build_ours(folder: Path, database: Path) -> None:
    settings = Settings(duckdb_path=str(database), shopify_schema="shop", model_variables={"klaviyo__marts": False})
    results = dbt_build(
        duckdb.target(settings.duckdb_path, "klaviyo_models", {}),
        variables=dbt_variables(settings),
        cache=folder / "cache",
        log=logging.getLogger(__name__),
    )
    assert [result.message for result in results if result.is_failure] == []


@pytest.mark.parametrize("seed", [None, *SEEDS])
def test_nothing_differs_but_what_is_by_design(
    seed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the account that is counted by hand, and of random ones."""
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    database = tmp_path / "warehouse.duckdb"
    warehouse = DuckDBWarehouse(database=str(database))
    if seed is None:
        by_hand.put_account(warehouse)
        by_hand.put_shop(warehouse)
    else:
        account = RandomAccount(warehouse, seed, people=20, nasty=False)
        for _ in range(4):
            account.go_on()
        with warehouse.session(writes=True) as session:
            write_shopify(session, "klaviyo", "shop")
            session.commit()
    build_theirs(tmp_path / "theirs", database)
    build_ours(tmp_path, database)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", str(database))
    monkeypatch.setenv("KLAVIYO_SHOPIFY_SCHEMA", "shop")
    done = CliRunner().invoke(main, ["compare-models", "--schema", "theirs"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "All differences are by design" in done.output and "klaviyo__campaigns: " in done.output
