"""Stories told to a sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from klaviyo_assets.sandbox import Sandbox, SandboxControl
from klaviyo_assets.sandbox.control import ControlError
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS, NOW, get, walk

ANA = "01J5QK8Z6X3T9N4V7B2C1D0E8F"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sample_account()) as sandbox:
        yield sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> SandboxControl:
    return SandboxControl(sandbox.url)


def test_stories(sandbox: Sandbox, control: SandboxControl) -> None:
    renamed = control.tell("rename", type="list", id="Y6nRLr", name="Told")
    assert renamed["attributes"]["name"] == get(sandbox, "lists/Y6nRLr")["data"]["attributes"]["name"] == "Told"
    event = control.tell(
        "add_event", metric_id="VtZ2aK", occurred_at=NOW, profile_id=ANA, properties={"$value": 3}, visible_at=NOW
    )
    assert get(sandbox, f"events/{event['id']}")["data"]["attributes"]["event_properties"] == {"$value": 3}
    control.tell("add", type="profile", id="BOB", attributes={"email": "bob@example.com"})
    control.tell("join", group_id="Y6nRLr", profile_id="BOB", joined_at=NOW - timedelta(days=2))
    assert {row["id"] for row in walk(sandbox, "lists/Y6nRLr/profiles")} == {ANA, "BOB"}
    control.tell("delete", type="profile", id="BOB")
    assert control.tell("get", type="profile", id="BOB") is None


def test_the_clock_and_the_log(sandbox: Sandbox, control: SandboxControl) -> None:
    control.tell("clear_requests")
    control.tell("advance", seconds=60)
    assert control.tell("now") == "2026-09-04T13:51:00Z"
    assert requests.get(f"{sandbox.url}/lists", headers=HEADERS, timeout=60).headers["date"].endswith("13:51:00 GMT")
    control.tell("set_clock", now=NOW)
    assert sandbox.account.clock.now() == NOW
    assert control.tell("counts") == {"get_lists": 1}
    assert control.tell("requests")[0]["path"] == "/api/lists"
    control.tell("set_rate_limits", limits={"get_lists": [1, 1]})
    assert [requests.get(f"{sandbox.url}/lists", headers=HEADERS, timeout=60).status_code for _ in "ab"] == [200, 429]
    control.tell("set_rate_limits", limits="off")


@pytest.mark.parametrize(
    ("command", "arguments", "status"),
    [
        ("nope", {}, 404),
        ("delete", {"type": "list", "id": "nope"}, 400),
        ("delete", {"type": "list"}, 400),
        ("set_clock", {"now": "2026-01-01T00:00:00"}, 400),
        ("keys", {}, 404),
    ],
)
def test_refusals(control: SandboxControl, command: str, arguments: dict[str, str], status: int) -> None:
    with pytest.raises(ControlError) as caught:
        control.tell(command, **arguments)
    assert caught.value.status == status


def test_a_sandbox_is_not_told_through_a_proxy(control: SandboxControl, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert control.tell("now")
