"""Reads that begin ahead of their steps: what they gain, what they count, and what happens where they fail."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.assets.changes import _ASKED
from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.assets.step import Step
from klaviyo_assets.build import build_definitions
from klaviyo_assets.sandbox.faults import Call, Slow
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.commands import PATIENCE
from klaviyo_assets_tests.conftest import Project, only

MESSAGES, VERSIONS = "get_flow_action_messages", "get_versions_for_form"
TABLES = ("flow", "flow_message", "form", "form_version", "campaign", "campaign_message", "list")


@pytest.fixture
def klaviyo(project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield project(generate_account(events=40, profiles=10, days=2), tables=only(*TABLES))
    assert list((tmp_path / "temporary").iterdir()) == [], "a spool is left"


def used(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, float]]:
    """Asset -> what its materialization says of it."""
    return {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key and event.asset_key.path[0] == "klaviyo_staging"
    }


def test_slow_reads_wait_while_other_steps_work(klaviyo: Project) -> None:
    first = klaviyo.sync(-2)
    operations = [request.operation for request in klaviyo.sandbox.requests]
    begun = max(operations.index(MESSAGES), operations.index(VERSIONS))
    assert begun < operations.index("get_campaigns"), "their steps come after that of the campaigns"
    assert klaviyo.differences(*TABLES) == []
    for table, operation, more in (("flow_message", MESSAGES, "get_flows"), ("form_version", VERSIONS, "get_forms")):
        asked = operations.count(operation)
        assert asked < used(first)[table]["requests"] <= asked + operations.count(more)
    asked = sum(map(operations.count, ("get_campaigns", "get_campaign_messages")))
    assert used(first)["campaign"]["requests"] == asked - len(_ASKED), "these ask for changes"
    klaviyo.sandbox.requests.clear()
    klaviyo.sync()
    assert not klaviyo.sandbox.requests.of(MESSAGES), "it is not due"


def test_what_no_step_wants_is_not_read(klaviyo: Project) -> None:
    result = klaviyo.run("klaviyo_full_refresh", only=["klaviyo_staging", "list"])
    assert result.success and not klaviyo.sandbox.requests.of(MESSAGES) + klaviyo.sandbox.requests.of(VERSIONS)


def test_a_table_whose_scope_is_missing_is_skipped_as_ever(klaviyo: Project) -> None:
    klaviyo.account.keys["pk_sandbox"] = frozenset({"accounts:read", "flows:read", "campaigns:read", "lists:read"})
    result = klaviyo.run("klaviyo_full_refresh")
    assert result.success
    assert used(result).keys() >= {"flow_message", "list"} and "form_version" not in used(result)
    assert klaviyo.differences("flow_message") == []


def test_an_interrupted_run_reads_no_further(klaviyo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, asked = threading.Event(), []
    close = KlaviyoClient.close

    def slowly(call: Call) -> Slow | None:
        if call.operation not in (MESSAGES, VERSIONS):
            return None
        begun.set()
        return Slow(0.02)

    def interrupt(*_: object) -> None:
        assert begun.wait(PATIENCE)
        raise KeyboardInterrupt

    def noted(client: KlaviyoClient) -> None:
        close(client)
        asked.append(len(klaviyo.sandbox.requests))

    klaviyo.sandbox.faults[:] = [slowly]
    monkeypatch.setattr(Step, "spool", interrupt)
    monkeypatch.setattr(KlaviyoClient, "close", noted)
    assert not klaviyo.run("klaviyo_full_refresh").success
    (before,) = asked
    assert len(klaviyo.sandbox.requests) <= before + 2, "each of both reads may have asked by then"


@pytest.mark.parametrize(("options", "pool"), [(None, "klaviyo_klaviyo_small"), (StepOptions(pool="ours"), "ours")])
def test_pools_come_first(klaviyo: Project, options: StepOptions | None, pool: str) -> None:
    klaviyo.definitions = build_definitions(klaviyo.settings, options=options)
    klaviyo.instance.event_log_storage.set_concurrency_slots(pool, 1)
    klaviyo.refresh()
    operations = [request.operation for request in klaviyo.sandbox.requests]
    assert operations.index(MESSAGES) > operations.index("get_campaigns")
