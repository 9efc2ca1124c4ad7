"""Every recorded response of the live API comes out of the sandbox again, value by value."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from klaviyo_assets.sandbox import Account, Resource, Sandbox
from klaviyo_assets_tests.reference import recordings
from klaviyo_assets_tests.sandbox.support import HEADERS, frozen_account

ORIGIN = "https://a.klaviyo.com"

METRIC = "SkDfHe"
RANGE = ["greater-or-equal(datetime,2026-09-01T00:00:00)", "less-than(datetime,2026-09-06T00:00:00)"]
REPORT = {"statistics": ["recipients"], "timeframe": {"key": "last_7_days"}, "conversion_metric_id": METRIC}
BODIES: dict[str, dict[str, Any]] = {
    "query_metric_aggregates": {
        "metric_id": METRIC,
        "measurements": ["count", "sum_value", "unique"],
        "interval": "day",
        "filter": RANGE,
        "timezone": "Europe/Copenhagen",
    },
    "query_campaign_values": REPORT,
    "query_flow_values": REPORT,
}
"""The bodies of the recorded POST requests were not recorded."""


def later_event(account: Account) -> None:
    account.add_event(METRIC, 1788529133, profile_id="01M1PA9KFVRQEFP614XWVXGVY7")


def later_form(account: Account) -> None:
    account.add(Resource("form", "Zzzzzz", {"created_at": "2026-09-04T13:40:15+00:00", "updated_at": None}))


def later_action(account: Account) -> None:
    created = {"created": "2026-09-04T13:40:14+00:00", "updated": "2026-09-04T13:40:14+00:00", "definition": None}
    account.add(Resource("flow-action", "116466132", created, {"flow": "T6EyQF"}))


def email_message(account: Account) -> None:
    definition = {"definition": {"channel": "email"}}
    account.add(Resource("campaign-message", "01M1PA99JBS13TE33GQ4YRESFN", definition))


def members(group: str) -> Callable[[Account], None]:
    def join(account: Account) -> None:
        for each in account.all("profile"):
            account.join(group, each.id, account.clock.now().replace(hour=13, minute=39, second=38, microsecond=0))

    return join


MORE: dict[str, Callable[[Account], Any]] = {
    "get_events.200": later_event,
    "get_campaigns.200": email_message,
    "get_forms.200": later_form,
    "get_actions_for_flow.200": later_action,
    "get_coupons.200": lambda account: account.add(Resource("coupon", "zzz", {"external_id": "zzz"})),
    "get_profiles_for_list.200": members("YafG4m"),
    "get_profile_ids_for_list.200": members("YafG4m"),
    "get_profiles_for_segment.200": members("RvKscW"),
    "get_profile_ids_for_segment.200": members("RvKscW"),
}
"""What was in the account besides the objects of the response: the rows of the next page, and who is a member."""

TOLERATED: dict[str, list[tuple[str, str]]] = {
    # The recording's cursor was scrubbed: it holds the id of another object.
    "get_coupons.200": [("links", "next")],
    # The sandbox's segment was joined at the time that this test chose.
    "get_profiles_for_segment.200": [("data", "joined_group_at")],
    # The id of an aggregate or report is made up anew for each.
    "query_metric_aggregates.200": [("data", "id")],
    "query_campaign_values.200": [("data", "id")],
    "query_flow_values.200": [("data", "id")],
}


def account_of(name: str, recording: dict[str, Any]) -> Account:
    """An account that holds the objects of a recorded response, and what they were asked of."""
    account = frozen_account()
    account.add(Resource("metric", METRIC, {"name": "SDK Smoke"}))
    parent, id = [*recording["request"]["path"].split("/")[2:], ""][:2]
    type = {"lists": "list", "segments": "segment", "flows": "flow", "tags": "tag", "flow-actions": "flow-action"}
    relationship = recording["request"]["path"].count("/") > 3
    if relationship and (parent in type or parent in ("forms", "campaigns")):
        account.add(Resource(type.get(parent, parent[:-1]), id))
    if recording["response"]["status"] == 200 and recording["request"]["method"] == "GET":
        account.load(recording["response"]["body"])
    MORE.get(name, lambda account: None)(account)
    return account


def parameters(query: dict[str, Any]) -> dict[str, str]:
    """The query of a recorded request, as it was sent: nested keys in brackets."""
    found = {}
    for name, value in query.items():
        if isinstance(value, dict):
            found |= {f"{name}[{inner}]": each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def normalised(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """A body without what no two responses share: ids of errors, and the differences tolerated."""
    for error in body.get("errors", []):
        assert re.fullmatch(r"[0-9a-f-]{36}", error.pop("id"))
        # An empty object became an empty list when the recordings were written down.
        error |= {key: error[key] or {} for key in ("links", "meta") if key in error}
        if error["status"] == 429:
            error.pop("meta")
    for where, key in TOLERATED.get(name, []):
        for part in body[where] if isinstance(body[where], list) else [body[where]]:
            holder = part if key in part else part["attributes"]
            assert isinstance(holder.pop(key), str)
    return body


def test_all_recordings_are_covered() -> None:
    assert len(recordings()) == 48


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.stem)
def test_recorded_response_is_reproduced(path: Path) -> None:
    recording = msgspec.json.decode(path.read_bytes())
    request, expected = recording["request"], recording["response"]
    status = expected["status"]
    headers = dict(HEADERS)
    if status == 401:
        headers["Authorization"] = "Klaviyo-API-Key pk_revoked"
    with Sandbox(account_of(path.stem, recording), rate_limits="real" if status == 429 else "off") as sandbox:
        url = sandbox.url.removesuffix("/api") + request["path"]
        body = None
        if request["method"] == "POST":
            kind = request["path"].rpartition("/")[2].removesuffix("s")
            body = msgspec.json.encode({"data": {"type": kind, "attributes": BODIES[recording["operation"]]}})
            headers["content-type"] = "application/vnd.api+json"
        for _ in range(2 if status == 429 else 1):
            response = requests.request(
                request["method"], url, params=parameters(request["query"]), headers=headers, data=body, timeout=60
            )
        assert response.status_code == status, response.text
        document = msgspec.json.decode(response.text.replace(sandbox.url.removesuffix("/api"), ORIGIN))

    assert normalised(path.stem, document) == normalised(path.stem, expected["body"])
    for name in ("ratelimit-limit", "ratelimit-reset", "retry-after"):
        assert response.headers.get(name) == expected["headers"].get(name)
