"""The HTTP application: routes, authentication, versions, limits, faults and the log of requests."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import format_datetime as http_date
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.account.omnichannel import Omnichannel
from klaviyo_assets.sandbox.api.errors import ApiError, missing_scopes
from klaviyo_assets.sandbox.api.limits import RateLimiter, RateLimits
from klaviyo_assets.sandbox.api.operation import Operation
from klaviyo_assets.sandbox.api.operations import OMNICHANNEL, OPERATIONS
from klaviyo_assets.sandbox.api.pages import Pages
from klaviyo_assets.sandbox.api.query import Pairs, parameter_rate, parse_query
from klaviyo_assets.sandbox.api.reports import REPORT_PAGE, answer_post
from klaviyo_assets.sandbox.control import ControlError, control
from klaviyo_assets.sandbox.faults import (
    CHALLENGE,
    Call,
    Document,
    Drip,
    Fault,
    FaultHook,
    Html403,
    InvalidGzip,
    InvalidJson,
    OddPage,
    Reset,
    Rewritten,
    Slow,
    Status,
    Truncate,
    choose,
)
from klaviyo_assets.sandbox.request_log import LoggedRequest, RequestLog

JSON_API = "application/vnd.api+json"
REVISIONS = frozenset(f"{year}-{date}" for year in (2025, 2026) for date in ("01-15", "04-15", "07-15", "10-15"))
"""Stable revisions that are supported. But for campaigns and attributes that were added, what has changed since
2026-07-15 is answered as it was then, and so is what had another form before."""

SMALLEST_COMPRESSED = 1024

_ROUTES: dict[tuple[str, ...], list[Operation]] = {}
"""Path -> its operations, those of later revisions last."""
for _op in (*OPERATIONS.values(), *OMNICHANNEL.values()):
    _ROUTES.setdefault(_op.segments, []).append(_op)


@dataclass(slots=True)
class Answer:
    """A response about to be sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_API


class App:
    """The ASGI application that serves an account under `/api`, and its control under `/sandbox`."""

    def __init__(self, account: Account, *, rate_limits: RateLimits = "off", latency: float = 0.0) -> None:
        self.account = account
        self.pages = Pages(account)
        self._campaigns = Omnichannel(account)
        self._campaign_pages: Pages | None = None
        self.limiter = RateLimiter(account.clock, rate_limits)
        self.latency = latency
        self.report_page_size = REPORT_PAGE
        self.faults: list[FaultHook] = []
        self.requests = RequestLog()
        self._numbers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        started, at = perf_counter(), self.account.clock.now()
        method, path, headers = scope["method"], scope["path"], Headers(scope=scope)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        body = await _read(receive)
        if path.startswith("/sandbox"):
            await _send(send, self._control(method, path, body), headers, self.account)
            return
        operations, id = _match(path, _revision(headers))
        operation = operations.get(method)
        name = operation.id if operation else None
        self._numbers[name or path] += 1
        call = Call(method, name, path, dict(pairs), headers, self._numbers[name or path])
        fault = choose(self.faults, call)
        if self.latency:
            await asyncio.sleep(self.latency)
        if isinstance(fault, Slow) and not fault.body:
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Status | Html403):
            answer = _failure(fault)
        else:
            url = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}"
            answer = self._answer(operations, operation, id, headers, pairs, body, url, path, fault)
        status = None if isinstance(fault, Reset) else answer.status
        self.requests.append(LoggedRequest(method, path, name, dict(pairs), status, at, perf_counter() - started))
        await _send(send, answer, headers, self.account, fault)

    def _answer(
        self,
        operations: Mapping[str, Operation],
        operation: Operation | None,
        id: str | None,
        headers: Headers,
        pairs: Pairs,
        body: bytes,
        origin: str,
        path: str,
        fault: Fault | None,
    ) -> Answer:
        limits: dict[str, str] = {}
        try:
            with self.account.lock:
                if not operations:
                    raise ApiError(404, "not_found", "The requested resource could not be found.")
                if operation is None:
                    raise ApiError(405, "method_not_allowed", "Method not allowed.")
                caller, scopes = self._authenticate(headers)
                limits = self.limiter.admit(caller, operation, parameter_rate(operation, pairs))
                _check_revision(headers)
                missing = [] if scopes is None else [name for name in operation.scopes if name not in scopes]
                if missing:
                    raise missing_scopes(missing)
                if operation.segments[0].startswith("webhook") and not self.account.advanced_kdp:
                    detail = "You must have Advanced KDP enabled to use this endpoint."
                    raise ApiError(403, "permission_denied", detail)
                query = parse_query(operation, pairs, self.account.clock.now(), _revision(headers))
                if isinstance(fault, OddPage):
                    query = replace(query, odd=fault)
                if operation.method == "POST":
                    if "json" not in headers.get("content-type", ""):
                        raise ApiError(415, "unsupported_media_type", "Unsupported media type in request.")
                    size = self.report_page_size
                    content = answer_post(self.account, query, body, origin + path, f"{origin}/api", page_size=size)
                else:
                    pages = self._pages_of_campaigns() if operation.omnichannel else self.pages
                    content = pages.answer(query, id, origin + path, f"{origin}/api")
                if isinstance(fault, Document):
                    document = msgspec.json.decode(content)
                    fault.change(document)
                    content = msgspec.json.encode(document)
                if isinstance(fault, Rewritten):
                    content = fault.change(content)
                return Answer(200, content, limits)
        except ApiError as error:
            if error.retry_after is not None:
                limits = {"retry-after": str(error.retry_after)}
            return Answer(error.status, error.body(), limits)

    def _pages_of_campaigns(self) -> Pages:
        """The pages of campaigns as revision 2026-10-15 has them."""
        store = self._campaigns.store()
        if self._campaign_pages is None or self._campaign_pages.account is not store:
            self._campaign_pages = Pages(store)
        for name in ("ties", "unsorted_archive", "loose_bounds"):
            setattr(self._campaign_pages, name, getattr(self.pages, name))
        return self._campaign_pages

    def _authenticate(self, headers: Headers) -> tuple[str, frozenset[str] | None]:
        """Who counts against which limits, and the scopes (None: all)."""
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme == "Klaviyo-API-Key" and secret in self.account.keys:
            return "account", self.account.keys[secret]
        if scheme == "Bearer" and secret in self.account.tokens:
            scopes, expires = self.account.tokens[secret]
            if self.account.clock.now() < expires:
                return secret, scopes
        if scheme not in ("Klaviyo-API-Key", "Bearer"):
            raise ApiError(401, "not_authenticated")
        raise ApiError(401, "authentication_failed")

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        try:
            return Answer(200, control(self, method, path, body), content_type="application/json")
        except ControlError as error:
            return Answer(error.status, error.body(), content_type="application/json")


def _match(path: str, revision: str) -> tuple[Mapping[str, Operation], str | None]:
    """The operations that a revision has at a path, by method, and the id in it."""
    segments = tuple(path.rstrip("/").split("/")[1:])
    if segments[:1] != ("api",):
        return {}, None
    segments = segments[1:]
    id = segments[1] if len(segments) > 1 else None
    route = segments if id is None else (segments[0], "{id}", *segments[2:])
    return {each.method: each for each in _ROUTES.get(route, ()) if each.since <= revision}, id


def _revision(headers: Headers) -> str:
    return headers.get("revision", "").removesuffix(".pre")


def _check_revision(headers: Headers) -> None:
    revision = _revision(headers)
    if headers.get("x-klaviyo-revision-fall-forward-opt-out") == "1" and revision not in REVISIONS:
        raise ApiError(410, "gone", f"The requested revision {revision or '(none)'} is no longer supported.")


def _failure(fault: Status | Html403) -> Answer:
    if isinstance(fault, Html403):
        return Answer(403, CHALLENGE, {"cf-mitigated": "challenge", "server": "cloudflare"}, "text/html")
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    body = fault.body
    if body is None:
        body = ApiError(fault.status, "error", "A fault of the sandbox.").body()
    return Answer(fault.status, body, headers, fault.content_type)


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(send: Send, answer: Answer, request: Headers, account: Account, fault: Fault | None = None) -> None:
    body, headers = answer.body, dict(answer.headers)
    if isinstance(fault, InvalidJson):
        body = body[: len(body) // 2]
    if isinstance(fault, Reset):
        _reset(send)
        return
    headers["content-type"] = answer.content_type
    headers["date"] = http_date(account.clock.now(), usegmt=True)
    headers["vary"] = "Accept-Encoding"
    if len(body) > SMALLEST_COMPRESSED and "gzip" in request.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = zlib.compress(body, 1, 31)
    if isinstance(fault, InvalidGzip):
        whole = body if "content-encoding" in headers else zlib.compress(body, 1, 31)
        headers["content-encoding"] = "gzip"
        body = whole[: len(whole) // 2] + bytes(len(whole))
    headers["content-length"] = str(len(body))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if isinstance(fault, Truncate):
        await send({"type": "http.response.body", "body": body[: int(len(body) * fault.share)], "more_body": True})
        _transport(send).close()
        return
    if isinstance(fault, Drip):
        size = -(-len(body) // fault.pieces)
        for start in range(0, len(body), size):
            await asyncio.sleep(fault.seconds)
            await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
        body = b""
    if isinstance(fault, Slow) and fault.body:
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await asyncio.sleep(fault.seconds)
        body = body[half:]
    await send({"type": "http.response.body", "body": body})


def _transport(send: Send) -> asyncio.Transport:
    """The connection behind uvicorn's `send`, which belongs to the object that has it: ASGI itself cannot break one."""
    cycle: Any = getattr(send, "__self__")  # noqa: B009
    transport: asyncio.Transport = cycle.transport
    return transport


def _reset(send: Send) -> None:
    transport = _transport(send)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
