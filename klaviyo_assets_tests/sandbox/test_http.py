"""What every answer has in common: routes, keys and scopes, revisions, headers, compression."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from klaviyo_assets.sandbox import Account, Sandbox
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS, NOW, get


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    account = sample_account()
    account.keys["pk_events"] = frozenset({"events:read"})
    account.tokens["valid"] = None, NOW + timedelta(hours=1)
    account.tokens["expired"] = None, NOW - timedelta(hours=1)
    with Sandbox(account) as sandbox:
        yield sandbox


def error(sandbox: Sandbox, path: str, status: int, **headers: str) -> dict[str, Any]:
    response = requests.get(f"{sandbox.url}/{path}", headers=headers, timeout=60)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/vnd.api+json"
    [found] = response.json()["errors"]
    assert found["status"] == status
    return found


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_authenticated"),
        ({"Authorization": "Basic pk_sandbox"}, "not_authenticated"),
        ({"Authorization": "Klaviyo-API-Key pk_other"}, "authentication_failed"),
        ({"Authorization": "Bearer expired"}, "authentication_failed"),
    ],
)
def test_who_is_refused(sandbox: Sandbox, headers: dict[str, str], code: str) -> None:
    found = error(sandbox, "accounts", 401, **headers)
    assert (found["code"], found["source"]) == (code, {"pointer": "/data/"})


def test_scopes(sandbox: Sandbox) -> None:
    key = {"Authorization": "Klaviyo-API-Key pk_events"}
    assert get(sandbox, "events", headers=key)["data"]
    found = error(sandbox, "lists/Y6nRLr/profiles", 403, **key)
    assert found["code"] == "permission_denied"
    assert found["detail"] == "Your API key is missing required scopes: lists:read, profiles:read"
    assert get(sandbox, "lists", headers={"Authorization": "Bearer valid"})["data"]


def test_webhooks_need_a_plan(sandbox: Sandbox) -> None:
    sandbox.account.advanced_kdp = False
    found = error(sandbox, "webhooks", 403, **HEADERS)
    assert found["detail"] == "You must have Advanced KDP enabled to use this endpoint."
    sandbox.account.advanced_kdp = True
    assert get(sandbox, "webhooks")["data"]


@pytest.mark.parametrize("revision", [None, "2019-01-01", "2026-07-15.pre", "2026-07-15"])
def test_a_revision_falls_forward(sandbox: Sandbox, revision: str | None) -> None:
    headers = {"Authorization": HEADERS["Authorization"]} | ({"revision": revision} if revision else {})
    assert requests.get(f"{sandbox.url}/lists", headers=headers, timeout=60).status_code == 200
    headers["X-Klaviyo-Revision-Fall-Forward-Opt-Out"] = "1"
    known = revision is not None and revision.startswith("2026-07-15")
    assert requests.get(f"{sandbox.url}/lists", headers=headers, timeout=60).status_code == (200 if known else 410)


@pytest.mark.parametrize("path", ["billing-usage", "billing-usage/email_sends"])
def test_an_operation_is_unknown_to_revisions_before_its_own(sandbox: Sandbox, path: str) -> None:
    key = {"Authorization": HEADERS["Authorization"]}
    for revision in ("2019-01-01", "2026-07-15", "2026-07-15.pre"):
        found, unknown = (error(sandbox, each, 404, revision=revision, **key) for each in (path, "nope"))
        assert {**found, "id": ""} == {**unknown, "id": ""}
    assert error(sandbox, path, 404, **key)["code"] == "not_found"
    new = {"revision": "2026-10-15"}
    assert get(sandbox, path, headers=new)["data"] and get(sandbox, "lists", headers=new)["data"]
    assert error(sandbox, path, 403, Authorization="Klaviyo-API-Key pk_events", **new)["detail"].endswith("usage:read")


def test_routes(sandbox: Sandbox) -> None:
    assert get(sandbox, "lists/")["links"]["self"] == f"{sandbox.url}/lists/"
    assert get(sandbox, "lists/Y6nRLr/")["data"]["id"] == "Y6nRLr"
    for path in ("nope", "lists/Y6nRLr/nope", "lists/Y6nRLr/relationships/nope", "../x"):
        assert error(sandbox, path, 404, **HEADERS)["code"] == "not_found"
    response = requests.delete(f"{sandbox.url}/lists/Y6nRLr", headers=HEADERS, timeout=60)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (405, "method_not_allowed")
    assert sandbox.account.get("list", "Y6nRLr")


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("lists/nope", 404, "A list with id nope does not exist."),
        ("lists/nope/profiles", 404, "A list with id nope does not exist."),
        ("events/zzzzzzzzzz", 404, "An event with id zzzzzzzzzz does not exist."),
        ("events/no-event", 400, "Invalid Event ID: 'no-event'"),
        ("flow-actions/abc", 400, "Invalid Flow Action ID: 'abc'"),
        ("mapped-metrics/nope", 400, "'nope' is not a valid choice for 'id'."),
        ("lists?page[size]=11", 400, "Page size must be an integer between 1 and 10: 11"),
        ("events?page[size]=0", 400, "Page size must be an integer between 1 and 1000: 0"),
        ("events?page[size]=x", 400, "Page size must be an integer between 1 and 1000: x"),
        ("metrics?page[size]=10", 400, "'page[size]' is not an allowed page parameter for this resource."),
        ("accounts?page[cursor]=x", 400, "'page[cursor]' is not an allowed page parameter for this resource."),
        ("lists?page[number]=2", 400, "'page[number]' is not an allowed page parameter for this resource."),
        ("events?include=attributions.flow", 400, None),
        ("lists?sort=opt_in_process", 400, None),
        ("lists?fields[list]=nope", 400, "'nope' is not an allowed field for list."),
        ("lists?fields[profile]=email", 400, "'profile' is not an allowed type for sparse fieldsets."),
        ("lists?additional-fields[list]=profile_count", 400, None),
    ],
)
def test_parameters_that_are_refused(sandbox: Sandbox, path: str, status: int, detail: str | None) -> None:
    found = error(sandbox, path, status, **HEADERS)
    assert detail is None or found["detail"] == detail


def test_date_and_limits_are_in_the_headers(sandbox: Sandbox) -> None:
    response = requests.get(f"{sandbox.url}/events", headers=HEADERS, timeout=60)
    assert parsedate_to_datetime(response.headers["date"]) == NOW
    assert response.headers["ratelimit-limit"] == "350, 350;w=1, 3500;w=60"
    assert response.headers["ratelimit-remaining"] == "349"
    assert response.headers["ratelimit-reset"] == "0"
    refused = requests.get(f"{sandbox.url}/events", timeout=60)
    assert not [name for name in refused.headers if name.startswith("ratelimit")]


def test_compression_is_for_those_who_ask(sandbox: Sandbox) -> None:
    def fetch(path: str, accept: str) -> requests.Response:
        return requests.get(f"{sandbox.url}/{path}", headers=HEADERS | {"Accept-Encoding": accept}, timeout=60)

    plain, packed = fetch("reviews", "identity"), fetch("reviews", "gzip, deflate")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.json() == packed.json()
    assert "content-encoding" not in fetch("coupons", "gzip").headers


def test_sparse_and_additional_fields(sandbox: Sandbox) -> None:
    id = "01J5QK8Z6X3T9N4V7B2C1D0E8F"
    full = get(sandbox, f"profiles/{id}")["data"]["attributes"]
    assert not {"subscriptions", "predictive_analytics", "joined_group_at"} & full.keys()
    sparse = get(
        sandbox,
        f"profiles/{id}",
        **{"fields[profile]": "email,location.city", "additional-fields[profile]": "subscriptions"},
    )["data"]["attributes"]
    assert sparse.pop("subscriptions")["email"]["marketing"]["consent"] == "NEVER_SUBSCRIBED"
    assert sparse == {"email": "ana@example.com", "location": {"city": "Boston"}}
    event = get(sandbox, "events", **{"fields[event]": "uuid,timestamp"})["data"][0]
    assert event["attributes"].keys() == {"uuid", "timestamp"}
    assert event["relationships"].keys() == {"profile", "metric"}
    assert "definition" not in get(sandbox, "flows/T6EyQF")["data"]["attributes"]
    assert (
        "definition" in get(sandbox, "flows/T6EyQF", **{"additional-fields[flow]": "definition"})["data"]["attributes"]
    )
    assert "definition" not in get(sandbox, "forms")["data"][0]["attributes"]
    assert "definition" in get(sandbox, "forms/UvW3xy")["data"]["attributes"]
    assert (
        get(sandbox, "lists/Y6nRLr", **{"additional-fields[list]": "profile_count"})["data"]["attributes"][
            "profile_count"
        ]
        == 1
    )


def test_a_catalog_id_in_a_path(sandbox: Sandbox) -> None:
    for path in ("$custom:::$default:::OOL-100", "%24custom%3A%3A%3A%24default%3A%3A%3AOOL-100"):
        assert get(sandbox, f"catalog-items/{path}")["data"]["id"] == "$custom:::$default:::OOL-100"
        related = get(sandbox, f"catalog-items/{path}/relationships/variants")["data"]
        assert related == [{"type": "catalog-variant", "id": "$custom:::$default:::OOL-100-V1"}]


def test_the_log_of_requests() -> None:
    with Sandbox(Account()) as sandbox:
        get(sandbox, "lists", sort="name")
        get(sandbox, "nope", status=404)
        get(sandbox, "lists/x", status=404)
        assert [(each.operation, each.path, each.status) for each in sandbox.requests] == [
            ("get_lists", "/api/lists", 200),
            (None, "/api/nope", 404),
            ("get_list", "/api/lists/x", 404),
        ]
        assert sandbox.requests.of("get_lists")[0].query == {"sort": "name"}
        assert sandbox.requests.counts() == {"get_lists": 1, "get_list": 1}
        assert "pk_sandbox" not in repr(list(sandbox.requests))


def test_a_stopped_sandbox_frees_its_port() -> None:
    first = Sandbox(Account()).start()
    first.stop()
    with Sandbox(Account(), port=int(first.url.rpartition(":")[2].removesuffix("/api"))) as second:
        assert second.url == first.url
        assert get(second, "accounts")["data"]
        with pytest.raises(OSError, match="in use"):
            Sandbox(Account(), port=int(second.url.rpartition(":")[2].removesuffix("/api"))).start()
