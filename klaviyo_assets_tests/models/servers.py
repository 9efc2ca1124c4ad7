"""What the models and the report say on a server, beside what they say on DuckDB of the same account."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli import runs
from klaviyo_assets.models.assets import chosen_models, dbt_variables
from klaviyo_assets.models.project import MARTS, Model
from klaviyo_assets.models.report.asset import read_content
from klaviyo_assets.models.report.page import Content
from klaviyo_assets.models.report.period import of_days
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.models.unexplained import CHECK, NUMBERS
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.models import by_hand, marts_by_hand

MODELS = "klaviyo_models"
NEVER_THE_SAME = {"klaviyo__events": {"_fivetran_synced"}, "order_lines": {"_fivetran_synced"}}

Said = tuple[list[str], Content, dict[str, list[dict[str, Any]]], dict[str, dict[str, list[str]]]]
"""Checks that failed, what the report says, all rows by model, and what columns are made of."""


def plain(name: str, value: Any) -> Any:
    """A value as every database has it: some write JSON their own way, or divide to other decimals."""
    if name == "event_attribution" and value is not None:
        return json.loads(value) if isinstance(value, str) else value
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return round(float(value), 6) if isinstance(value, Decimal | float) else value


def contents(warehouse: Warehouse, models: Iterable[Model]) -> dict[str, list[dict[str, Any]]]:
    """All rows of models, by model, in an order of their own."""
    found = {}
    with warehouse.session(writes=False) as session:
        for model in models:
            names = sorted(set(session.columns(MODELS, model.name)) - NEVER_THE_SAME.get(model.name, set()))
            chosen = ", ".join(f'"{name}"' for name in names)
            rows = session.sql(f"SELECT {chosen} FROM {session.name(MODELS, model.name)}")
            found[model.name] = sorted(
                ({name: plain(name, value) for name, value in zip(names, row, strict=True)} for row in rows),
                key=lambda row: repr([None if value is None else str(value) for value in row.values()]),
            )
    return found


def tell(settings: Settings, instance: dg.DagsterInstance) -> list[Said]:
    """Build the models by their job, anew and once more after news of an event and of a name."""
    warehouse, definitions = warehouse_of(settings), build_definitions(settings)
    models = chosen_models(settings)
    by_hand.put_account(warehouse)
    if any(model.group == MARTS for model in models):
        marts_by_hand.put_account(warehouse)
    by_hand.put_shop(warehouse)
    told: list[Said] = []
    for _ in range(2):
        result = runs.run(instance, definitions, "klaviyo_models_job")
        failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
        with warehouse.session(writes=False) as session:
            half_a_year = of_days(dt.date(2026, 1, 1), dt.date(2026, 7, 1))
            names = {model.name for model in models}
            content = read_content(session, MODELS, half_a_year, settings, names, least_recipients=1)
            assert session.views(MODELS) == set(), "they would keep Postgres from widening columns"
        lineage = {
            key: {
                column: sorted(map(str, deps))
                for column, deps in values["dagster/column_lineage"].deps_by_column.items()
            }
            for key, values in runs.materializations(result).items()
            if "dagster/column_lineage" in values
        }
        told.append((failed, content, contents(warehouse, models), lineage))
        changed = [{**event, **by_hand.worth(7.25)} for event in by_hand.EVENTS if event["id"] == "e30"]
        by_hand.put(warehouse, "event", changed, by_hand.SYNCED + dt.timedelta(days=1))
        renamed = [{**campaign, "name": "Spring again"} for campaign in by_hand.CAMPAIGNS[:1]]
        by_hand.put(warehouse, "campaign", renamed, by_hand.SYNCED + dt.timedelta(days=1))
    return told


def check_same(settings: Settings, in_duckdb: Settings, home: Path) -> None:
    """Check that the models say on a server what they say on DuckDB, with the same keys."""
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        on_server, on_duckdb = tell(settings, instance), tell(in_duckdb, instance)
    for found, wanted in zip(on_server, on_duckdb, strict=True):
        assert found[0] == wanted[0] == ([CHECK] if NUMBERS in wanted[2] else [])
        assert found[1] == wanted[1]
        assert found[2].keys() == wanted[2].keys()
        for model in wanted[2]:
            both = zip(found[2][model], wanted[2][model], strict=False)
            differing = [{name: (a[name], b[name]) for name in b if a[name] != b[name]} for a, b in both if a != b]
            assert found[2][model] == wanted[2][model], (model, differing[:3])
        assert found[3].keys() == wanted[3].keys() and len(wanted[3]) > 5, (found[3].keys(), wanted[3].keys())
        for model, columns in wanted[3].items():
            differing = {name for name in columns | found[3][model] if found[3][model].get(name) != columns.get(name)}
            assert {name: (found[3][model].get(name), columns.get(name)) for name in differing} == {}, model
    assert on_server[0][2] != on_server[1][2], "there was news"


def check_taken_along(folder: Path) -> None:
    """Check columns that are taken along: one that the first two accounts lack, one that is a number of the third and
    text of the last, one of nobody. Who opened a message a day before an order is credited with it, by sessions."""
    accounts = [f"klaviyo_{number}" for number in range(1, 5)]
    values = [{}, {}, {"property_size": 3, "property_mixed": 1}, {"property_size": 5, "property_mixed": "one"}]
    for account, properties in zip(accounts, values, strict=True):
        settings = Settings(schema=account)
        opened = by_hand.event("open", "02-28 10:00", "p1", "Opened Email", campaign_id=f"c of {account}")
        event = by_hand.event(f"of {account}", "03-01 10:00", "p1", "Placed Order", **properties)
        by_hand.put(warehouse_of(settings), "event", [opened, event])
    taken = [f"property_{name}" for name in ("size", "mixed", "of_nobody")]
    variables = dbt_variables(settings) | {
        "klaviyo_sources": [{"schema": account} for account in accounts],
        "klaviyo__event_pass_through_columns": taken,
        "using_native_attribution": False,
    }
    warehouse = warehouse_of(settings)
    results = dbt_build(
        target_of(warehouse, kind_of(settings.warehouse), MODELS),
        select=["+klaviyo__events"],
        variables=variables,
        cache=folder / "cache",
        log=logging.getLogger(__name__),
    )
    assert [result.message for result in results if result.is_failure] == []
    with warehouse.session(writes=False) as session:
        chosen = ", ".join(["event_id", "source_relation", "last_touch_campaign_id", *taken])
        events = session.name(MODELS, "klaviyo__events")
        rows = session.sql(f"SELECT {chosen} FROM {events} WHERE type = 'Placed Order' ORDER BY 1")
    nothing = (None, None, None)
    assert [(id, *rest) for id, _, _, *rest in rows] == [
        ("of klaviyo_1", *nothing), ("of klaviyo_2", *nothing),
        ("of klaviyo_3", 3, "1", None), ("of klaviyo_4", 5, "one", None),
    ]  # fmt: skip
    assert [where.rpartition(".")[2] for _, where, *_ in rows] == accounts
    assert [campaign for _, _, campaign, *_ in rows] == [f"c of {account}" for account in accounts]
