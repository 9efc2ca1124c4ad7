"""Faults arrive at a client as the real ones do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import perf_counter
from typing import Any
from urllib.parse import quote

import pytest
import requests

from klaviyo_assets.sandbox import Sandbox
from klaviyo_assets.sandbox.faults import (
    Call,
    Document,
    Drip,
    Fault,
    Html403,
    InvalidGzip,
    InvalidJson,
    OddPage,
    Reset,
    Slow,
    Status,
    Truncate,
)
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(sample_account()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    yield server
    server.faults.clear()


def fetch(sandbox: Sandbox, path: str = "lists") -> requests.Response:
    return requests.get(f"{sandbox.url}/{path}", headers=HEADERS, timeout=60)


def fail(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.faults.append(lambda call: fault if call.operation == "get_lists" else None)


def test_hooks_choose_by_request_and_number(sandbox: Sandbox) -> None:
    seen: list[Call] = []

    def second(call: Call) -> Fault | None:
        seen.append(call)
        return Status(503, retry_after=7) if call.operation == "get_forms" and call.number == 2 else None

    sandbox.faults.append(second)
    answers = [fetch(sandbox, "forms?page[size]=1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert answers[1].headers["retry-after"] == "7"
    assert answers[1].json()["errors"][0]["status"] == 503
    assert seen[1].query == {"page[size]": "1"}
    assert (seen[1].method, seen[1].path, seen[1].headers["revision"]) == ("GET", "/api/forms", "2026-07-15")
    assert [request.status for request in sandbox.requests.of("get_forms")] == [200, 503, 200]


def test_the_challenge_page_of_the_cdn(sandbox: Sandbox) -> None:
    fail(sandbox, Html403())
    answer = fetch(sandbox)
    assert (answer.status_code, answer.headers["cf-mitigated"]) == (403, "challenge")
    assert answer.headers["content-type"] == "text/html"
    assert fetch(sandbox, "flows").status_code == 200


def test_a_reset_connection(sandbox: Sandbox) -> None:
    fail(sandbox, Reset())
    with pytest.raises(requests.ConnectionError) as caught:
        fetch(sandbox)
    assert "reset" in str(caught.value).lower()
    assert sandbox.requests[-1].status is None


def test_a_truncated_body(sandbox: Sandbox) -> None:
    fail(sandbox, Truncate(0.3))
    host, port = sandbox.url.removeprefix("http://").removesuffix("/api").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        request = f"GET /api/lists HTTP/1.1\r\nHost: {host}\r\nAuthorization: {HEADERS['Authorization']}\r\n\r\n"
        connection.sendall(request.encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    announced = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert len(body) == int(announced * 0.3)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        fetch(sandbox)


def test_invalid_json_with_status_200(sandbox: Sandbox) -> None:
    fail(sandbox, InvalidJson())
    answer = fetch(sandbox)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("body", [False, True])
def test_a_slow_answer_holds_up_no_other(sandbox: Sandbox, body: bool) -> None:
    fail(sandbox, Slow(0.3, body=body))
    started = perf_counter()
    with (
        requests.get(f"{sandbox.url}/lists", headers=HEADERS, timeout=60, stream=True)
        if body
        else fetch(sandbox) as answer
    ):
        headers_after = perf_counter() - started
        assert answer.json()["data"]
    assert (headers_after < 0.2) == body
    assert perf_counter() - started >= 0.3


def test_latency(sandbox: Sandbox) -> None:
    sandbox.latency = 0.1
    started = perf_counter()
    fetch(sandbox)
    assert perf_counter() - started >= 0.1
    sandbox.latency = 0.0


def test_a_body_in_pieces(sandbox: Sandbox) -> None:
    fail(sandbox, Drip(0.02, pieces=5))
    started = perf_counter()
    assert fetch(sandbox).json()["data"]
    assert perf_counter() - started >= 0.1


def test_half_a_body_that_is_compressed(sandbox: Sandbox) -> None:
    fail(sandbox, InvalidGzip())
    with pytest.raises((requests.exceptions.ContentDecodingError, requests.JSONDecodeError)):
        fetch(sandbox).json()


def test_odd_pages() -> None:
    with Sandbox(generate_account(events=10, profiles=8, days=2)) as sandbox:

        def page(number: int, **odd: Any) -> list[str]:
            sandbox.faults[:] = [lambda call: OddPage(**odd) if call.operation == "get_profiles" else None]
            answer = fetch(sandbox, "profiles?page[size]=3&sort=updated")
            for _ in range(number):
                answer = requests.get(answer.json()["links"]["next"], headers=HEADERS, timeout=60)
            return [row["id"] for row in answer.json()["data"]]

        first, second = page(0), page(1)
        assert page(0, more=1) == [*first, second[0]] and page(1, more=1)[:3] == second, "rows come again"
        assert page(0, shuffled=True) != first and sorted(page(0, shuffled=True)) == sorted(first)
        assert sorted(page(1, shuffled=True)) == sorted(second), "the cursor goes on after the last row in order"

        sandbox.faults.clear()
        bound = fetch(sandbox, "profiles?sort=updated").json()["data"][0]["attributes"]["updated"]
        path = f"profiles?filter={quote(f'greater-than(updated,{bound})', safe='')}&sort=updated"
        strict = {row["id"] for row in fetch(sandbox, path).json()["data"]}
        sandbox.faults.append(lambda call: OddPage(loose=True))
        assert first[0] in {row["id"] for row in fetch(sandbox, path).json()["data"]} - strict


def test_a_changed_document(sandbox: Sandbox) -> None:
    fail(sandbox, Document(lambda document: document["links"].update(next="elsewhere")))
    assert fetch(sandbox).json()["links"]["next"] == "elsewhere"
