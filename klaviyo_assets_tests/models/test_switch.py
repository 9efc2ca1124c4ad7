"""The models say the same of an account whichever revision of the API its campaigns were read in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets import duckdb
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, narrowed, only
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.stories.test_campaigns import refusing

FINALS = ("klaviyo__campaigns", "klaviyo__events", "klaviyo__person_campaign_flow", "klaviyo__persons")
SETTLED = ("Draft", "Scheduled", "Sent")
"""Statuses that both revisions know; those between them have fewer names in the later one."""


@pytest.mark.soak
def test_the_models_give_the_same_figures_before_and_after_the_switch(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = narrowed(generate_account(events=600, profiles=40, days=20, seed=2))
    klaviyo = project(account, tables=only("metric", "flow", "campaign", "campaign_message"))
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)

    def built() -> dict[str, list[tuple[Any, ...]]]:
        dbt_build(
            duckdb.target(klaviyo.settings.duckdb_path, "klaviyo_models", {}),
            select=[f"+{name}" for name in FINALS],
            variables=dbt_variables(klaviyo.settings),
            cache=tmp_path / "cache",
            log=logging.getLogger(__name__),
        )
        return {name: shown(klaviyo, name, account) for name in FINALS}

    klaviyo.sandbox.faults.append(refusing(400))
    klaviyo.sync(first=-20)
    before = built()
    klaviyo.sandbox.faults.clear()
    klaviyo.refresh()
    assert klaviyo.sandbox.requests.counts()["get_campaign_messages"] > 1
    after = built()
    for name in FINALS:
        assert before[name] and after[name] == before[name], name


def shown(project: Project, model: str, account: Account) -> list[tuple[Any, ...]]:
    """The rows of a model in order, without campaigns that only the later revision shows, which nobody got yet."""
    with project.warehouse.connect() as connection:
        result = connection.execute(f"SELECT * FROM klaviyo_models.{model}")
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    hidden = {each.id for each in account.all("canvas-campaign")}
    in_flight = {each.id for each in account.all("campaign") if each.attributes["status"] not in SETTLED}
    found = []
    for row in rows:
        if row.get("campaign_id") in hidden:
            continue
        if model == "klaviyo__campaigns" and row["campaign_id"] in in_flight:
            del row["status"], row["status_id"]
        found.append(tuple(row.values()))
    return sorted(found, key=str)
