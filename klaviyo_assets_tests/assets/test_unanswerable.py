"""Runs that can't get an answer: they end with one message, before the first step."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.sandbox.faults import Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, failures, only


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/api"


def events_of(klaviyo: Project, job: str) -> tuple[list[dg.DagsterEvent], list[str]]:
    """The events of a run, and what it says of itself in the end."""
    with suppress(dg.DagsterError):  # Dagster has no result of a run whose resources could not be made
        klaviyo.run(job)
    (record,) = klaviyo.instance.get_run_records()
    logged = klaviyo.instance.all_logs(record.dagster_run.run_id)
    events = [entry.dagster_event for entry in logged if entry.dagster_event]
    assert record.dagster_run.status == dg.DagsterRunStatus.FAILURE
    return events, [str(event.event_specific_data) for event in events if event.is_run_failure]


@pytest.mark.parametrize("job", ["klaviyo_sync", "klaviyo_full_refresh"])
@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({}, "pk_wrong", "Klaviyo does not accept the API key"),
        ({}, "", "There is no Klaviyo API key"),
        ({"api_url": nobody}, "pk_sandbox", "Connection refused"),
        ({"api_url": "a.klaviyo.com"}, "pk_sandbox", "The setting `api_url` has to be an address"),
        ({"api_url": "{origin}"}, "pk_sandbox", "`api_url` is not that of Klaviyo's API, which ends with /api"),
    ],
    ids=["wrong key", "no key", "no network", "no address", "no API"],
)
def test_a_run_without_an_answer_ends_with_one_message(
    project: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    given: dict[str, Any],
    key: str,
    message: str,
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries._FIRST_DELAY", 0.001)
    account = generate_account(events=20, profiles=5, days=2, seed=1)
    klaviyo = project(account, tables=only("metric", "list"), models=False)
    monkeypatch.setenv("KLAVIYO_API_KEY", key)
    if url := given.get("api_url"):
        url = url() if callable(url) else url.format(origin=klaviyo.sandbox.url.removesuffix("/api"))
        klaviyo = Project(klaviyo.sandbox, klaviyo.settings.model_copy(update={"api_url": url}), klaviyo.instance)
    events, ends = events_of(klaviyo, job)
    assert [event.step_key for event in events if event.is_step_start] == []
    assert len(ends) == 1 and message in ends[0]
    assert len(klaviyo.sandbox.requests) <= 1


@pytest.mark.parametrize("key", ["pk_wrong", "two words"])
def test_a_key_that_is_wrong_is_called_by_its_variable(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    account = generate_account(events=20, profiles=5, days=2, seed=1)
    klaviyo = project(account, tables=only("metric"), models=False, api_key_variable="KEY_OF_DENMARK")
    monkeypatch.setenv("KEY_OF_DENMARK", key)
    _, ends = events_of(klaviyo, "klaviyo_full_refresh")
    assert len(ends) == 1 and "KEY_OF_DENMARK holds it" in ends[0] and "KLAVIYO_API_KEY" not in ends[0]


def test_what_goes_wrong_later_is_said_in_a_sentence(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries._FIRST_DELAY", 0.001)
    klaviyo = project(generate_account(events=20, profiles=5, days=2, seed=1), tables=only("list"), models=False)
    page = Status(404, body=b"<html>Gateway</html>", content_type="text/html")
    klaviyo.sandbox.faults.append(lambda call: page if call.operation == "get_lists" else None)
    (failure,) = failures(klaviyo.run("klaviyo_full_refresh"))
    assert "is not Klaviyo's API" in failure and "Check the setting `api_url`" in failure.splitlines()[0]
    assert failure.count('  File "') < 15 and "client.py" not in failure, "where it happened says nothing"


def test_a_key_that_may_not_read_the_account_still_syncs(project: Callable[..., Project]) -> None:
    account = generate_account(events=20, profiles=5, days=2, seed=1)
    account.keys["pk_sandbox"] = frozenset({"events:read", "metrics:read", "profiles:read"})
    klaviyo = project(account, tables=only("metric"), models=False)
    klaviyo.sync(first=-2)
    assert klaviyo.differences("person", "metric") == []


def test_looking_at_the_tables_asks_klaviyo_nothing(project: Callable[..., Project]) -> None:
    account = generate_account(events=20, profiles=5, days=2, seed=1)
    klaviyo = project(account, tables=only("metric"), models=False)
    klaviyo.sync(first=-2)
    klaviyo.sandbox.requests.clear()
    checks = dg.define_asset_job(
        "checks",
        dg.AssetSelection.all_asset_checks()
        - dg.AssetSelection.checks_for_assets(dg.AssetKey(["klaviyo_staging", "metric"])),
    )
    merged = dg.Definitions.merge(klaviyo.definitions, dg.Definitions(jobs=[checks]))
    assert merged.resolve_job_def("checks").execute_in_process(instance=klaviyo.instance).success
    assert len(klaviyo.sandbox.requests) == 0
