"""What the UI and the README offer to copy can be queried in the file that it is said of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, only

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize(("name", "schema"), [("warehouse", "klaviyo"), ("klaviyo", "klaviyo"), ("Shop", "shop")])
def test_the_names_that_the_ui_offers(name: str, schema: str, project: Callable[..., Project], tmp_path: Path) -> None:
    file = tmp_path / f"{name}.duckdb"
    account = generate_account(events=20, profiles=5, days=1, seed=1)
    klaviyo = project(account, duckdb_path=str(file), schema=schema, tables=only("metric"), models=False)
    klaviyo.sync()
    names = {
        key.to_user_string(): str(spec.metadata["dagster/table_name"])
        for spec in klaviyo.definitions.resolve_all_asset_specs()
        for key in [spec.key]
        if "dagster/table_name" in spec.metadata
    }
    assert {"klaviyo/event", "klaviyo/person", "klaviyo/metric", "klaviyo_staging/metric"} <= names.keys()
    queries = [f"SELECT * FROM {table}" for table in names.values()]
    if name == "warehouse":
        assert names["klaviyo/event"] == "klaviyo.event"
        queries += re.findall(r"```sql\n(.*?)```", README.read_text(), re.DOTALL)
    with duckdb.connect(str(file), read_only=True) as connection:
        for query in queries:
            connection.execute(query).fetchall()
