"""Pools: which step is in which, that one process waits for another, and what `check` says of those without a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.pools import GROUPS, pool, pools
from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli.check import check
from klaviyo_assets.cli.places import prepare_home
from klaviyo_assets.cli.pools import of_pools
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.conftest import Project, failures, only, without_campaigns

LIMITED = "concurrency:\n  pools:\n    default_limit: 1\n"


def test_what_reads_is_in_the_pool_of_its_limits_and_nothing_else_is() -> None:
    settings = Settings(name="shop_dk", memberships="weekly", predictive_analytics="weekly")
    jobs = build_definitions(settings).resolve_all_job_defs()
    found = {node.name: node.pool for job in jobs for node in job.all_node_defs if isinstance(node, dg.OpDefinition)}
    by_pool: dict[str | None, set[str]] = {}
    for name, of in found.items():
        by_pool.setdefault(of, set()).add(name.removeprefix("shop_dk"))
    assert by_pool.pop("klaviyo_shop_dk_events") == {"__event"}
    assert by_pool.pop("klaviyo_shop_dk_profiles") == {
        "__person", "__person_deletes", "__person_predictions", "__list_person", "__segment_person"
    }  # fmt: skip
    small = by_pool.pop("klaviyo_shop_dk_small")
    assert {"__account_history", "__event_reconciliation", "_staging__flows"} <= small
    assert {name for name in map(str, small) if "staging" in name} == {
        name for of in (small, *by_pool.values()) for name in of if name.startswith("_staging")
    }
    assert by_pool.keys() == {None}


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    return project(without_campaigns(generate_account(events=30, profiles=10, days=1)), tables=only("metric"))


def test_a_run_waits_for_the_pool_that_another_uses_and_does_the_rest_meanwhile(
    klaviyo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    prepare_home(home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (home / "dagster.yaml").write_text((home / "dagster.yaml").read_text() + LIMITED)
    events = pool(klaviyo.settings, "events")
    with dg.DagsterInstance.from_config(str(home)) as klaviyo.instance, ThreadPoolExecutor(1) as thread:
        storage = klaviyo.instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(events)
        assert storage.claim_concurrency_slot(events, "another run", "its event").is_claimed
        run = thread.submit(klaviyo.run, "klaviyo_sync", -1)
        metric = dg.AssetKey(["klaviyo", "metric"])
        deadline = time.monotonic() + 60
        while not klaviyo.instance.get_latest_materialization_event(metric) and not run.done():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not run.done() and klaviyo.sandbox.requests.of("get_events") == []
        storage.free_concurrency_slots_for_run("another run")
        result = run.result()
        assert result.success, failures(result)
        assert klaviyo.differences("event", "person", "metric") == []
        assert [storage.get_concurrency_info(key).active_slot_count for key in storage.get_concurrency_keys()] == [
            0
        ] * 3


@pytest.mark.parametrize(
    ("settings", "yaml", "said"),
    [
        ({}, "", False),
        ({"executor": "multiprocess"}, "", True),
        ({}, "run_launcher:\n  module: dagster._core.test_utils\n  class: MockedRunLauncher\n", True),
        ({"executor": "multiprocess"}, LIMITED, False),
        ({"executor": "multiprocess"}, "set", False),
        ({"executor": "multiprocess", "rate_share": "1/2"}, "", False),
        ({}, "storage:\n  postgres: {postgres_url: no}\n", None),
        ({}, "concurrency: [\n", None),
        ({}, None, False),
        ({"executor": "multiprocess"}, None, True),
    ],
)
def test_check_says_so_where_several_processes_would_use_a_limit_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], yaml: str | None, said: Any
) -> None:
    home = tmp_path / "home"
    if yaml is not None:
        prepare_home(home)
        monkeypatch.setenv("DAGSTER_HOME", str(home))
    chosen = Settings(**settings)
    if yaml == "set":
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for group in GROUPS:
                instance.event_log_storage.set_concurrency_slots(pool(chosen, group), 1)
    elif yaml is not None:
        (home / "dagster.yaml").write_text((home / "dagster.yaml").read_text() + yaml)
    warnings = list(of_pools(chosen))
    if said is None:
        assert "its pools are unknown" in warnings[0]
    else:
        assert ["dagster instance concurrency set klaviyo_klaviyo_events 1" in warning for warning in warnings] == (
            [True] if said else []
        )


def test_check_goes_by_the_default_limit_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    file, chosen = tmp_path / "dagster.yaml", Settings(executor="multiprocess")
    text = file.read_text()
    for earlier, now, said in ((5, LIMITED, 0), (1, "", 1)):
        file.write_text(text + LIMITED.replace("1", str(earlier)))
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            for name in pools(chosen):
                instance.event_log_storage.initialize_concurrency_limit_to_default(name)
        file.write_text(text + now)
        assert len(list(of_pools(chosen))) == said


def test_check_tells_it(klaviyo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    places = klaviyo.settings.model_dump(include={"api_url", "warehouse", "tables"})
    report = check(chosen := Settings(**places, executor="multiprocess"))
    assert report.problems == [] and report.warnings == list(of_pools(chosen)) != []
