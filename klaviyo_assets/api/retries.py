"""Which answers are worth asking again for, which are errors, and how long to wait in between."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import requests
import urllib3

from klaviyo_assets.api.errors import (
    ForeignAnswer,
    InvalidApiKey,
    InvalidRequest,
    KlaviyoError,
    MissingScope,
    NotFound,
    NotPermitted,
)
from klaviyo_assets.text import clean

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_TITLE = re.compile(rb"<title[^>]*>([^<]*)</title>", re.IGNORECASE)
_SCOPE = re.compile(r"\b[a-z][a-z0-9-]*:[a-z]+\b")


class Transient(Exception):
    """A try failed in a way that another may not. `retry_after` is what the server asked for, in seconds.

    unreachable: there was no connection to the server, so that no other question would get an answer either.
    """

    def __init__(
        self, reason: str, status: int | None = None, retry_after: float | None = None, *, unreachable: bool = False
    ) -> None:
        super().__init__(reason, status, retry_after)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.foreign: str | None = None
        """What came, if it can't be an answer of Klaviyo's."""


def delay(failures: int) -> float:
    """Seconds to wait after that many failures in a row: exponential, capped, and spread by half either way."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.5)


def retry_after(response: requests.Response) -> float | None:
    """The `Retry-After` of an answer in seconds (an HTTP date is taken against the answer's own `Date`), or None."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until, now = http_date(value), http_date(response.headers.get("Date", ""))
    return max(0.0, (until - now).total_seconds()) if until and now else None


def http_date(value: str) -> datetime | None:
    """The time of an HTTP date such as `Fri, 04 Sep 2026 13:38:54 GMT`, aware and in UTC, or None."""
    try:
        time = parsedate_to_datetime(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def foreign(content: bytes) -> str | None:
    """Say what an answer is, if it can't be Klaviyo's: HTML, or JSON of another kind; None if it may only be broken."""
    beginning = content.lstrip()[:1]
    if beginning == b"<":
        title = _TITLE.search(content[:100_000])
        words = " ".join(title[1].decode(errors="replace").split())[:80] if title else ""
        return f'a page of HTML, "{words}"' if words else "a page of HTML"
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    known = isinstance(document, dict) and document.keys() & {"data", "errors"}
    return None if known else "JSON that is no answer of Klaviyo's"


def failure(
    operation: str, response: requests.Response, scrub: Callable[[str], str], base_url: str
) -> KlaviyoError | Transient:
    """What an answer that is neither a success nor a 429 means. `scrub` takes the secrets out of Klaviyo's words."""
    status = response.status_code
    errors = _errors(response.content)
    first = errors[0] if errors else {}
    detail = _sentence(
        clean(scrub(str(first.get("detail") or first.get("title") or response.reason or "no reason given")))
    )
    if status >= 500 or status == 408:
        return Transient(f"status {status}, {detail}", status, retry_after(response))
    if status == 401:
        return InvalidApiKey(detail)
    if status == 403:
        if not errors or "cf-mitigated" in response.headers:
            return Transient("status 403 without a JSON error: a challenge of the network in front of Klaviyo", status)
        scopes = tuple(_SCOPE.findall(detail))
        return MissingScope(operation, detail, scopes) if scopes else NotPermitted(operation, detail)
    if not errors and (300 <= status < 400 or foreign(response.content)):
        what = "a redirect" if status < 400 else foreign(response.content)
        return ForeignAnswer(operation, f"status {status}, {scrub(str(what))}", base_url)
    source = first.get("source")
    where = next(iter(source.values()), None) if isinstance(source, dict) else None
    error = NotFound if status == 404 else InvalidRequest
    return error(operation, status, detail, _text(first.get("code")), _text(where))


def reason(error: requests.RequestException) -> str:
    """An exchange that failed on the way, in words."""
    match error:
        case requests.ConnectTimeout():
            return "the connection took too long"
        case requests.Timeout():
            return "the answer took too long"
        case requests.exceptions.SSLError():
            return f"no secure connection ({_cause(error)})"
        case requests.exceptions.ProxyError():
            return f"no connection through the proxy of the environment, HTTPS_PROXY for one ({_cause(error)})"
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():  # ours is valid
            return (
                "the proxy of the environment, HTTPS_PROXY for one, can't be used: its address has to be like "
                "http://proxy.example:3128; one of SOCKS needs `pip install pysocks`"
            )
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return f"the answer was cut off ({_cause(error)})"
        case requests.ConnectionError():
            return f"no connection, or it broke ({_cause(error)})"
        case _:
            return f"the request could not be sent ({type(error).__name__})"


def unreachable(error: requests.RequestException) -> bool:
    """Return whether no connection was made: no such host, nobody there, no proxy, a certificate that does not fit."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return True
    outer = error.args[0] if error.args else None
    return isinstance(outer, urllib3.exceptions.MaxRetryError) and isinstance(
        outer.reason, urllib3.exceptions.NewConnectionError
    )


def _cause(error: BaseException) -> str:
    """The innermost exception: requests wraps one of urllib3, which wraps one of the standard library."""
    for inner in (getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return _cause(inner)
    return str(error).rsplit(": ", 1)[-1] or type(error).__name__


def _errors(content: bytes) -> list[dict[str, Any]]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
