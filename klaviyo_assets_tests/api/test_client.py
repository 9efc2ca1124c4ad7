from __future__ import annotations

import gzip
import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import (
    ApiUnavailable,
    ForeignAnswer,
    InvalidApiKey,
    InvalidRequest,
    KlaviyoClient,
    KlaviyoError,
    MissingScope,
    NotFound,
    NotPermitted,
    RateLimited,
    all_of,
    any_of,
    equals,
)
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Drip
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets_tests.api.fake import KEY, FakeApi, FakeClock, Reply, Request, document, error

Connect = Callable[..., KlaviyoClient]

FINE = Reply(document([{"type": "list", "id": "1"}]))
SERVER_TIME = datetime(2026, 9, 4, 13, 38, 54, tzinfo=UTC)


def test_while_nobody_can_be_reached_only_the_first_request_is_repeated(clock: FakeClock) -> None:
    """A run without network does not wait again in each of its steps, and goes on when the network is back."""
    gone = FakeApi()
    port, url = gone.port, gone.url
    gone.close()
    with KlaviyoClient(KEY, base_url=url, clock=clock, sleep=clock.sleep) as client:

        def tries(operation: str) -> int:
            with pytest.raises(ApiUnavailable) as raised:
                client.get(operation, "/lists")
            assert "Connection refused" in str(raised.value)
            return raised.value.tries

        assert [tries(operation) for operation in ("get_lists", "get_segments", "get_lists")] == [6, 1, 1]
        back = FakeApi(port)
        back.routes["lists"] = replace(FINE, headers={"Connection": "close"})
        assert client.get("get_lists", "/lists").rows == 1
        back.close()
        assert [tries("get_lists"), tries("get_lists")] == [6, 1]


def test_a_simulated_account_is_not_asked_through_a_proxy(
    api: FakeApi, client: KlaviyoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://somebody:proxysecret@127.0.0.1:9")
    api.routes["lists"] = FINE
    assert client.get("get_lists", "/lists").rows == 1


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://somebody:proxysecret@127.0.0.1:9", "the environment, HTTPS_PROXY for one .*Connection refused"),
        ("proxysecret://127.0.0.1:9", "http://proxy.example:3128"),
        ("socks5://somebody:proxysecret@127.0.0.1:9", "pip install pysocks"),
    ],
)
def test_a_proxy_that_is_of_no_use_is_named_without_its_password(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    with (
        KlaviyoClient(KEY, base_url="https://klaviyo.example/api", clock=clock, sleep=clock.sleep) as client,
        pytest.raises(ApiUnavailable, match=words) as raised,
    ):
        client.get("get_lists", "/lists")
    assert "proxysecret" not in str(raised.value) and KEY not in str(raised.value)


@pytest.mark.parametrize("detail", ["Out of order.", "Out of order"])
def test_an_error_ends_its_sentence_once(api: FakeApi, client: KlaviyoClient, detail: str) -> None:
    api.routes["lists"] = error(503, detail)
    with pytest.raises(ApiUnavailable, match=r"last: status 503, Out of order\. Check the network"):
        client.get("get_lists", "/lists")


# What is sent


def test_a_request(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["lists"] = FINE
    page = client.get(
        "get_lists",
        "/lists",
        {
            "filter": all_of(equals("name", "Ünï & co+1"), any_of("id", ["a", "b"])),
            "fields[list]": ["name", "created"],
            "page[size]": 10,
            "sort": None,
            "flag": True,
        },
    )
    assert page.json() == FINE.body and page.rows == 1 and page.next is None
    assert (page.operation, page.size) == ("get_lists", 10)
    [request] = api.requests
    assert request.query == {
        "filter": 'equals(name,"Ünï & co+1"),any(id,["a","b"])',
        "fields[list]": "name,created",
        "page[size]": "10",
        "flag": "true",
    }
    assert request.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert request.headers["revision"] == "2026-07-15"
    assert request.headers["Accept-Encoding"] == "gzip"


def test_an_operation_is_asked_for_in_the_revision_that_has_it(api: FakeApi, client: KlaviyoClient) -> None:
    following = document([], f"{api.url}/billing-usage?page[cursor]=x")
    api.routes["billing-usage"] = [Reply(following), Reply(document([]))]
    assert len(list(client.pages("list_billing_usage", "/billing-usage"))) == 2
    api.routes["lists"] = FINE
    client.get("get_lists", "/lists")
    assert [each.headers["revision"] for each in api.requests] == ["2026-10-15", "2026-10-15", "2026-07-15"]


def test_ids_are_quoted_in_paths(api: FakeApi, client: KlaviyoClient) -> None:
    with pytest.raises(NotFound):
        client.get("get_catalog_item", "catalog-items/$custom:::$default:::a b?c#d%20")
    assert api.requests[0].target == "/api/catalog-items/$custom:::$default:::a%20b%3Fc%23d%2520"


def test_a_report(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["metric-aggregates"] = lambda request: Reply({"data": {"got": request.body.decode()}, "links": {}})
    page = client.post("query_metric_aggregates", "metric-aggregates", {"data": {"type": "metric-aggregate"}})
    assert page.json()["data"]["got"] == '{"data":{"type":"metric-aggregate"}}' and page.rows == 1
    assert api.requests[0].headers["Content-Type"] == "application/vnd.api+json"


def test_compressed_answers(api: FakeApi, client: KlaviyoClient) -> None:
    content = gzip.compress(b'{"data": [1, 2, 3]}')
    half = Reply(content[: len(content) // 2], headers={"Content-Encoding": "gzip"})
    api.routes["lists"] = [half, Reply(content, headers={"Content-Encoding": "gzip"})]
    assert client.get("get_lists", "lists").rows == 3
    assert client.stats.counts().retries == 1


def test_lone_surrogates_are_replaced_and_pairs_are_kept(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["lists"] = Reply(rb'{"data": [["\ud83d", "\udc00x", "\ud83d\ude00", "\\ud83d", "\uD83D\n"]]}')
    page = client.get("get_lists", "lists")
    assert page.json()["data"] == [["\ufffd", "\ufffdx", "😀", "\\ud83d", "\ufffd\n"]]
    assert client.stats.counts().retries == 0


def test_an_unknown_operation_is_a_mistake_of_the_caller(client: KlaviyoClient) -> None:
    with pytest.raises(ValueError, match="get_evnets"):
        client.get("get_evnets", "events")


# What is not repeated


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error(401, "Incorrect authentication credentials."), InvalidApiKey, "a private key of the account"),
        (error(403, "Your API key is missing required scopes: lists:read, a:b"), MissingScope, "lists:read, a:b"),
        (error(403, "You must have Advanced KDP enabled to use this endpoint."), NotPermitted, "Advanced KDP"),
        (error(404, "A list with id X does not exist."), NotFound, "A list with id X"),
        (error(400, "Bad filter.", source={"parameter": "filter"}), InvalidRequest, r"400 \(at filter\): Bad filter"),
        (error(405, "No."), InvalidRequest, "405"),
        (error(400, "A \x1b[31mred\x07 word."), InvalidRequest, "A \ufffd.31mred\ufffd word"),
        (error(410, "Retired."), InvalidRequest, "410"),
        (Reply(b"", 418), InvalidRequest, "418"),
        (Reply(b"<html><title>Nothing here</title>", 404), ForeignAnswer, "at http://127.*404, a page of HTML.*here"),
        (Reply({"error": "no route"}, 404), ForeignAnswer, "404, JSON that is no answer.*gateway"),
        (Reply(b"", 302, {"Location": "/api/tags"}), ForeignAnswer, "302, a redirect.*gateway"),
    ],
)  # fmt: skip
def test_refusals(api: FakeApi, client: KlaviyoClient, reply: Reply, kind: type[KlaviyoError], words: str) -> None:
    api.routes["lists"] = reply
    with pytest.raises(kind, match=words) as caught:
        client.get("get_lists", "lists")
    assert type(caught.value) is kind
    assert len(api.requests) == 1
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))


def test_what_errors_carry(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["lists"] = error(403, "Your API key is missing required scopes: lists:read, tags:read")
    with pytest.raises(MissingScope) as scope:
        client.get("get_lists", "lists")
    assert scope.value.scopes == ("lists:read", "tags:read")
    api.routes["lists"] = error(400, "Bad filter.", "invalid", {"parameter": "filter"})
    with pytest.raises(InvalidRequest) as request:
        client.get("get_lists", "lists")
    e = request.value
    assert (e.operation, e.status, e.detail, e.code, e.source) == ("get_lists", 400, "Bad filter.", "invalid", "filter")


# What is repeated

HTML_403 = Reply(b"<html>Just a moment...</html>", 403, {"Content-Type": "text/html", "cf-mitigated": "challenge"})
TRANSIENT = {
    "500": (error(500, "Oops."), "status 500, Oops"),
    "503": (Reply(b"<html>", 503), "status 503, Service Unavailable"),
    "504": (error(504, "Slow."), "status 504"),
    "524": (Reply(b"<html>", 524), "status 524"),
    "408": (error(408, "Slow."), "status 408"),
    "challenge": (HTML_403, "challenge"),
    "html 403": (Reply(b"<html>", 403), "without a JSON error"),
    "reset": (Reply(fault="reset"), "reset by peer"),
    "cut": (Reply(document(["x" * 9999]), fault="cut"), "cut off"),
    "unframed cut": (Reply(document(["x" * 9999]), fault="unframed cut"), "not a JSON:API document"),
    "HTML": (
        Reply(b"<html><title>Sign in to\n the gateway</title>"),
        'HTML, "Sign in to the gateway".*a gateway has to',
    ),
    "no UTF-8": (Reply(b'{"data": "\xff"}'), "not a JSON:API document"),
    "no document": (Reply({"errors": []}), "not a JSON:API document"),
    "a list": (Reply([]), "JSON that is no answer of Klaviyo's.*a gateway has to"),
    "another server's JSON": (Reply({"status": "ok"}), "JSON that is no answer of Klaviyo's.*a gateway has to"),
    "empty": (Reply(b""), "not a JSON:API document"),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_passes_is_tried_again(api: FakeApi, client: KlaviyoClient, clock: FakeClock, name: str) -> None:
    reply, words = TRANSIENT[name]
    api.routes["lists"] = [reply, reply, FINE]
    before = client.stats.counts()
    assert client.get("get_lists", "lists").rows == 1
    made = client.stats.counts() - before
    assert (made.requests, made.retries, made.throttled, made.seconds_waited) == (3, 2, 0, 0)
    assert len(api.requests) == 3

    api.routes["lists"] = reply
    clock.sleeps.clear()
    with pytest.raises((ApiUnavailable, ForeignAnswer), match=words) as caught:
        client.get("get_lists", "lists")
    assert len(api.requests) == 3 + 6 and getattr(caught.value, "tries", 6) == 6
    assert [0.25 * 2**n <= wait <= 0.75 * 2**n for n, wait in enumerate(clock.sleeps)] == [True] * 5


def test_a_server_that_is_not_there(clock: FakeClock) -> None:
    api = FakeApi()
    api.close()
    client = KlaviyoClient(KEY, base_url=api.url, clock=clock, sleep=clock.sleep, tries=2)
    with client, pytest.raises(ApiUnavailable, match="Connection refused"):
        client.get("get_lists", "lists")
    assert len(clock.sleeps) == 1


def test_a_server_that_does_not_answer_in_time(api: FakeApi, connect: Connect) -> None:
    release = threading.Event()

    def slow(request: Request) -> Reply:
        if request.number == 0:
            release.wait(10)
        return FINE

    api.routes["lists"] = slow
    client = connect(timeout=(1, 0.1))
    assert client.get("get_lists", "lists").rows == 1
    release.set()
    assert client.stats.counts().retries == 1


def test_an_answer_that_drips_for_ten_minutes_is_given_up(clock: FakeClock) -> None:
    """No pause between two pieces of it is long enough for the time-out of the connection."""
    with Sandbox(Account()) as sandbox:
        sandbox.faults.append(lambda call: Drip(0.01, pieces=5) if call.number == 1 else None)

        def passing() -> float:
            clock.now += 70
            return clock.now

        with KlaviyoClient("pk_sandbox", base_url=sandbox.url, clock=passing, sleep=clock.sleep, tries=2) as client:
            assert client.get("get_accounts", "accounts").rows == 1
        assert client.stats.counts().retries == 0, "six minutes are not too long"
        sandbox.faults[:] = [lambda call: Drip(0.01, pieces=20)]
        with (
            KlaviyoClient("pk_sandbox", base_url=sandbox.url, clock=passing, sleep=clock.sleep, tries=2) as client,
            pytest.raises(ApiUnavailable, match="took too long"),
        ):
            client.get("get_accounts", "accounts")


def test_a_server_that_says_when_it_is_back(api: FakeApi, client: KlaviyoClient, clock: FakeClock) -> None:
    api.routes["lists"] = [Reply(b"", 503, {"Retry-After": "90"}), FINE]
    client.get("get_lists", "lists")
    assert clock.sleeps == [90]
    api.routes["tags"] = Reply(b"", 503, {"Retry-After": "7200"})
    with pytest.raises(ApiUnavailable, match="tried once"):
        client.get("get_tags", "tags")
    assert clock.sleeps == [90]


# Rate limits


def test_429s_are_waited_for_and_are_no_failures(api: FakeApi, connect: Connect, clock: FakeClock) -> None:
    client = connect(tries=1)
    date = {"Retry-After": "Fri, 04 Sep 2026 13:39:04 GMT"}  # ten seconds after the answer's own Date
    throttled = Reply(b"", 429, {"Retry-After": "7"})
    api.routes["lists"] = [throttled] * 20 + [Reply(b"", 429, date), FINE]
    assert client.get("get_lists", "lists").rows == 1
    assert clock.sleeps == [7] * 20 + [10]
    s = client.stats.counts()
    assert (s.requests, s.throttled, s.retries, s.seconds_waited) == (22, 21, 0, 150)


def test_429s_without_retry_after(api: FakeApi, client: KlaviyoClient, clock: FakeClock) -> None:
    api.routes["lists"] = [Reply(b"", 429)] * 4 + [FINE]
    client.get("get_lists", "lists")
    assert clock.sleeps == [1, 2, 4, 8]


def test_a_wait_of_an_hour_is_an_error_of_that_operation_only(
    api: FakeApi, client: KlaviyoClient, clock: FakeClock
) -> None:
    api.routes["campaign-values-reports"] = Reply(b"", 429, {"Retry-After": "3723"})
    api.routes["lists"] = FINE
    for _ in range(2):
        with pytest.raises(RateLimited, match="another 3723 s") as caught:
            client.post("query_campaign_values", "campaign-values-reports", {})
        assert caught.value.wait == 3723
        assert client.get("get_lists", "lists").rows == 1
    assert api.count("campaign-values-reports") == 1
    assert clock.sleeps == []


def test_a_429_pauses_only_its_operation_and_takes_no_slot(api: FakeApi, connect: Connect, clock: FakeClock) -> None:
    asleep, wake = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        asleep.set()
        assert wake.wait(10)
        clock.sleep(seconds)

    client = connect(max_concurrency=1, sleep=sleep)
    api.routes["lists"] = [Reply(b"", 429, {"Retry-After": "30"}), FINE]
    api.routes["tags"] = FINE
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(client.get, "get_lists", "lists") for _ in range(3)]
        assert asleep.wait(10)
        assert client.get("get_tags", "tags").rows == 1
        # The threads that had not asked yet wait as well.
        assert api.count("lists") == 1
        wake.set()
        assert [f.result().rows for f in waiting] == [1, 1, 1]
    assert api.count("lists") == 4


def test_the_client_keeps_to_the_limits_by_itself(api: FakeApi, client: KlaviyoClient, clock: FakeClock) -> None:
    api.routes["accounts"] = FINE  # one a second, 15 a minute
    began = clock.now
    for _ in range(31):
        client.get("get_accounts", "accounts")
    assert 120 <= clock.now - began < 130
    assert client.stats.counts().seconds_waited == pytest.approx(clock.now - began)


def test_no_more_requests_at_once_than_allowed(api: FakeApi, connect: Connect) -> None:
    def slow(request: Request) -> Reply:
        threading.Event().wait(0.005)
        return FINE

    api.routes["lists"] = slow
    client = connect(max_concurrency=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: client.get("get_lists", "lists"), range(40)))
    assert api.most_at_once == 3


def test_fewer_requests_at_once_after_a_refusal(api: FakeApi, connect: Connect) -> None:
    def slow(request: Request) -> Reply:
        threading.Event().wait(0.02)
        return FINE

    client = connect(max_concurrency=8)

    def most_at_once(requests: int) -> int:
        api.routes["lists"], api.most_at_once = slow, 0
        with ThreadPoolExecutor(requests) as pool:
            list(pool.map(lambda _: client.get("get_lists", "lists"), range(requests)))
        return api.most_at_once

    assert most_at_once(40) == 8
    api.routes["tags"] = [Reply(b"", 429, {"Retry-After": "1"}), FINE]
    api.routes["flows"] = [Reply(b"", 503), FINE]
    client.get("get_tags", "tags")
    client.get("get_flows", "flows")
    assert most_at_once(8) <= 4


def test_long_waits_are_logged(api: FakeApi, client: KlaviyoClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    api.routes["lists"] = [Reply(b"", 429, {"Retry-After": "4"}), Reply(b"", 429, {"Retry-After": "60"}), FINE]
    client.get("get_lists", "lists")
    assert [r.getMessage() for r in caplog.records] == ["Waiting 60 s for the rate limit of get_lists"]
    assert caplog.records[0].name == "klaviyo_assets.api"


def test_closing_wakes_whoever_waits(api: FakeApi) -> None:
    client = KlaviyoClient(KEY, base_url=api.url)
    api.routes["lists"] = Reply(b"", 429, {"Retry-After": "500"})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, "get_lists", "lists")
        while not client.stats.counts().seconds_waited:
            threading.Event().wait(0.001)
        client.close()
        with pytest.raises(KlaviyoError, match="closed"):
            waiting.result(5)
    with pytest.raises(KlaviyoError, match="closed"):
        client.get("get_lists", "lists")


# The server's time


def test_the_time_is_the_servers(api: FakeApi, client: KlaviyoClient, clock: FakeClock) -> None:
    api.routes["accounts"] = FINE
    assert client.now() == SERVER_TIME
    clock.sleep(61.5)
    assert client.now() == SERVER_TIME + timedelta(seconds=61.5)
    assert len(api.requests) == 1
    api.date = "Sat, 05 Sep 2026 00:00:00 GMT"
    assert client.now(refresh=True) == datetime(2026, 9, 5, tzinfo=UTC)


def test_a_refusal_tells_the_time_as_well(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["accounts"] = error(403, "Your API key is missing required scopes: accounts:read")
    assert client.now() == SERVER_TIME


def test_no_time_is_made_up(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes["accounts"] = FINE
    api.date = "yesterday"
    with pytest.raises(ApiUnavailable, match="no Date"):
        client.now()
    api.routes["accounts"] = error(401, "Incorrect.")
    with pytest.raises(InvalidApiKey):
        client.now()


# The key is never shown


def test_the_key_is_never_shown(
    api: FakeApi, connect: Connect, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # Klaviyo's SDK, in a test before this one, turns it down
    client = connect(tries=2)
    shown = [repr(client), str(client), repr(vars(client)), repr(client.stats)]
    replies = [reply for reply, _ in TRANSIENT.values()]
    replies += [error(s, f"Your key {KEY} is bad") for s in (400, 401, 403, 404, 503)]
    replies += [Reply(b"", 429, {"Retry-After": "9999"}), Reply(b"", 302, {"Location": f"http://x/{KEY}"})]
    for reply in replies:
        api.routes["lists"] = reply
        shown += _everything_shown(client)
    shown += [caplog.text, *(repr(vars(r)) for r in caplog.records), *capsys.readouterr()]
    assert len(caplog.records) > 10 and "urllib3" in caplog.text
    assert len(shown) > 50
    assert not [text for text in shown if KEY in text or KEY[8:20] in text]
    assert api.requests[-1].headers["Authorization"].endswith(KEY)


def _everything_shown(client: KlaviyoClient) -> list[str]:
    try:
        client.get("get_lists", "lists")
    except KlaviyoError as e:
        shown = [repr(e), str(e), repr(vars(e)), str(pickle.dumps(e)), traceback.format_exc()]
        shown += traceback.TracebackException.from_exception(e, capture_locals=True).format()
        seen: BaseException | None = e
        while seen is not None:
            assert not getattr(seen, "request", None)
            seen = seen.__cause__ or seen.__context__
        return shown
    raise AssertionError("it should have failed")


@pytest.mark.parametrize("key", ["", "pk_ 123", "pk_123\n", "pk_é", "pk_\x00"])
def test_a_malformed_key_is_refused_before_it_is_sent(key: str) -> None:
    with pytest.raises(InvalidApiKey, match="characters") as caught:
        KlaviyoClient(key)
    assert not key or key not in str(caught.value)


def test_a_client_cannot_be_pickled(client: KlaviyoClient) -> None:
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(client)


def test_a_netrc_does_not_replace_the_key(
    api: FakeApi, client: KlaviyoClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api.routes["lists"] = FINE
    client.get("get_lists", "lists")
    assert api.requests[0].headers["Authorization"] == f"Klaviyo-API-Key {KEY}"


def test_a_redirect_does_not_take_the_key_elsewhere(api: FakeApi, client: KlaviyoClient) -> None:
    other = FakeApi()
    try:
        api.routes["lists"] = Reply(b"", 302, {"Location": f"{other.url}/lists"})
        with pytest.raises(ForeignAnswer, match="a redirect"):
            client.get("get_lists", "lists")
        assert not other.requests
    finally:
        other.close()


@pytest.mark.parametrize(
    "options",
    [{"base_url": "ftp://x/api"}, {"base_url": "a.klaviyo.com"}, {"base_url": "https://u:p@x/api"}, {"tries": 0}],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        KlaviyoClient(KEY, **options)


def test_the_end_of_the_revision_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    for day, warnings in ((16, 0), (17, 1)):
        KlaviyoClient(KEY, today=date(2028, 4, day)).close()
        assert len(caplog.records) == warnings
    assert "revision 2026-07-15" in caplog.text
