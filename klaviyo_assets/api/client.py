"""The HTTP client: authentication, rate limits, retries, pages, and the server's time."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import msgspec
import requests

from klaviyo_assets.api import retries, urls
from klaviyo_assets.api.concurrency import Concurrency
from klaviyo_assets.api.errors import (
    ApiUnavailable,
    ForeignAnswer,
    InvalidApiKey,
    InvalidRequest,
    KlaviyoError,
    NotPermitted,
    PaginationError,
    RateLimited,
)
from klaviyo_assets.api.limiter import LONGEST_WAIT, Limiter, SharedLimits
from klaviyo_assets.api.operations import Rate, limits
from klaviyo_assets.api.operations import revision as revision_of
from klaviyo_assets.api.page import Page
from klaviyo_assets.api.rate_headers import told
from klaviyo_assets.api.retries import Transient
from klaviyo_assets.api.revision import ending
from klaviyo_assets.api.session import JSON_API, Secret, load_body, new_session
from klaviyo_assets.api.stats import Stats
from klaviyo_assets.api.urls import Params

BASE_URL = "https://a.klaviyo.com/api"

logger = logging.getLogger("klaviyo_assets.api")

_LONG_WAIT = 5.0
_PAGE_SIZE_LIMIT = re.compile(r"between \d+ and (\d+)")
_HEAVY = (504, 524)  # the gateway or the CDN gave up waiting for the page
_HEAVY_TRIES, _LIGHT_PAGE = 2, 20


class KlaviyoClient:
    """Reads from the Klaviyo API. Thread-safe; use it as a context manager, or call `close`.

    `operation` arguments are operation ids of Klaviyo's OpenAPI document ("get_events"): they decide the rate limit,
    and the revision of the API unless `revision` names another one. Paths are relative to `base_url`, unquoted. In
    `params`, sequences are joined by commas and None is left out.

    Every request waits for its rate limit and is repeated after failures that pass: 429, 408, 5xx, broken connections
    and answers, challenges of the network in front of Klaviyo. While the server can't be reached at all, only the
    first request is repeated; the others are tried once.

    Args:
        api_key: A private API key.
        base_url: Of the API.
        max_concurrency: How many requests are under way at a time at most, from however many threads: fewer at first,
            and when the API refuses or is slow.
        tries: Of a request; 429s do not count.
        defaults: Operation -> parameters of all its GET requests that do not say otherwise.
        timeout: (connect, read) in seconds, the latter for each piece of an answer; all of it has ten minutes.
        share: The part of the rate limits that this client may use.
        shared_limits: Counts the requests of other processes that read the account, too.
        paced: Whether requests wait for Klaviyo's rate limits: not for those of a simulated account, which has none.
        clock: Returns monotonic seconds.
        sleep: Waits so many seconds; by default in a way that `close` interrupts.
        today: By which it warns that the support of a revision ends; by default that of this machine.

    Raises:
        InvalidApiKey: The key is empty or has characters that no key has.
        ValueError: The address or a number makes no sense.
        KlaviyoError: By each request that fails for good: `InvalidApiKey`, `MissingScope`, `NotPermitted`,
            `RateLimited`, `NotFound`, `InvalidRequest` or `ApiUnavailable`.

    Example:
        >>> from klaviyo_assets.sandbox import Sandbox
        >>> from klaviyo_assets.sandbox.shop.generate import generate_account
        >>> with Sandbox(generate_account(events=0, profiles=10)) as sandbox:  # for Klaviyo, leave out `base_url`
        ...     with KlaviyoClient("pk_sandbox", base_url=sandbox.url) as client:
        ...         profiles = client.get("get_profiles", "/profiles", {"page[size]": 100}).json()["data"]
        ...         lists = [each for page in client.pages("get_lists", "/lists") for each in page.json()["data"]]
        >>> len(profiles), "Newsletter" in [each["attributes"]["name"] for each in lists]
        (10, True)
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = BASE_URL,
        max_concurrency: int = 12,
        tries: int = 6,
        defaults: Mapping[str, Params] | None = None,
        timeout: tuple[float, float] = (10, 120),
        share: Fraction = Fraction(1),
        shared_limits: SharedLimits | None = None,
        paced: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        today: date | None = None,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise InvalidApiKey("it is empty or has characters that no key has.")
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("base_url must be an http(s) address without credentials and query")
        if max_concurrency < 1 or tries < 1:
            raise ValueError("max_concurrency and tries must be at least 1")
        if not 0 < share <= 1:
            raise ValueError("share must be more than 0 and at most 1")
        self.base_url = base_url.rstrip("/")
        self.max_concurrency = max_concurrency
        self._stats = Stats()
        self._apart: ContextVar[Stats | None] = ContextVar("apart", default=None)
        self._key = Secret(api_key)
        self.defaults = defaults or {}
        self._tries = tries
        self._timeout = timeout
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._limiter = Limiter(clock, share=share, shared=shared_limits, paced=paced)
        self._concurrency = Concurrency(max_concurrency, clock)
        self._server_time: tuple[datetime, float] | None = None
        self._largest_page: dict[str, int | None] = {}
        self._unreachable = False
        self._session = new_session(api_key, max_concurrency)
        for sentence in ending(today or date.today()):
            logger.warning(sentence)

    @property
    def stats(self) -> Stats:
        """What is counted of the requests, those of another context that is `counting_apart` left out."""
        return self._apart.get() or self._stats

    @contextmanager
    def counting_apart(self) -> Iterator[None]:
        """Count by themselves the requests of this thread, and of those that run in a copy of its context."""
        token = self._apart.set(Stats())
        try:
            yield
        finally:
            self._apart.reset(token)

    def get(
        self,
        operation: str,
        path: str,
        params: Params | None = None,
        *,
        many: bool = False,
        revision: str | None = None,
    ) -> Page:
        """Ask for one page.

        Args:
            operation: Operation id of Klaviyo's OpenAPI document.
            path: Below `base_url`.
            params: Of the query; sequences are joined by commas, None is left out.
            many: The page is of a collection, so that an answer whose `data` is no list is asked for again.
            revision: Of the API, if not that of the operation.

        Raises:
            KlaviyoError: See the class.
        """
        return self._request("GET", operation, self._address(operation, path, params), many=many, revision=revision)

    def post(self, operation: str, path: str, body: Mapping[str, Any], params: Params | None = None) -> Page:
        """Ask a reporting endpoint for one page; reports change nothing.

        Args:
            operation: Operation id of Klaviyo's OpenAPI document.
            path: Below `base_url`.
            body: The JSON document to send.
            params: Of the query.

        Raises:
            KlaviyoError: See the class.
        """
        return self._request("POST", operation, urls.build(self.base_url, path, params), msgspec.json.encode(body))

    def pages(
        self, operation: str, path: str, params: Params | None = None, *, revision: str | None = None
    ) -> Iterator[Page]:
        """Every page of a collection, in order, following `links.next` as it is.

        A page size that Klaviyo refuses is replaced by the largest that it allows; a page that is too heavy for it
        (504, 524) is asked for in halves; one whose `data` is no list is a broken answer, not an empty page.

        Args:
            operation: Operation id of Klaviyo's OpenAPI document.
            path: Below `base_url`.
            params: Of the first page's query.
            revision: Of the API, if not that of the operation.

        Raises:
            PaginationError: A link leaves the API, a page comes twice, or the link of a full page can't be read.
            KlaviyoError: See the class.
        """
        url: str | None = self._fitting(operation, self._address(operation, path, params))
        seen: set[int] = set()
        previous: Page | None = None
        while url is not None:
            if hash(url) in seen:
                raise PaginationError(operation, "a page links to one that was read before")
            seen.add(hash(url))
            page = self._page(operation, url, revision)
            if previous and memoryview(page.data) == memoryview(previous.data) and page.rows:
                raise PaginationError(operation, "the same page came twice in a row")
            if page.may_go_on and page.is_full:
                raise PaginationError(operation, "the link to the next page can't be read")
            yield page
            url, previous = self._following(page), page

    def now(self, *, refresh: bool = False) -> datetime:
        """The server's time (aware, UTC): never later than it really is, and up to about a second earlier.

        It is the `Date` of the latest answer plus the time since, so that a wrong local clock does no harm. Makes a
        request if there was none before, or if `refresh` asks for it. Raises ApiUnavailable if no answer has a date.
        """
        if refresh or self._server_time is None:
            try:
                self.get("get_accounts", "accounts", {"fields[account]": "id"})
            except (NotPermitted, InvalidRequest, RateLimited):
                logger.debug("The accounts may not be read; the refusal tells the time as well.")
        if self._server_time is None:
            raise ApiUnavailable("get_accounts", "the answers have no Date header", 1)
        at, clock = self._server_time
        return at + timedelta(seconds=self._clock() - clock)

    def close(self) -> None:
        """Closes the connections. Threads that wait for a rate limit or for the next try are woken and raise."""
        self._closed.set()
        self._session.close()

    def __enter__(self) -> KlaviyoClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"KlaviyoClient(base_url={self.base_url!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("A KlaviyoClient holds a secret and connections; make one where it is needed.")

    # Pages

    def _address(self, operation: str, path: str, params: Params | None) -> str:
        return urls.build(self.base_url, path, {**self.defaults.get(operation, {}), **(params or {})})

    def _page(self, operation: str, url: str, revision: str | None) -> Page:
        while True:
            size = urls.page_size(url)
            heavy = size is not None and size > _LIGHT_PAGE
            try:
                return self._request("GET", operation, url, heavy=heavy, many=True, revision=revision)
            except InvalidRequest as error:
                smaller = self._refused_size(error, url)
                if smaller is None:
                    raise
                url = smaller
            except _TooHeavy:
                url = urls.with_page_size(url, (size or 2) // 2)
                logger.info(
                    "%s is too slow with %s rows a page, going on with %s", operation, size, urls.page_size(url)
                )

    def _refused_size(self, error: InvalidRequest, url: str) -> str | None:
        """The same address with a page size that is allowed, if that is what was wrong with it."""
        size = urls.page_size(url)
        named = _PAGE_SIZE_LIMIT.search(error.detail)
        about = f"{error.detail} {error.source}".lower()
        if error.status != 400 or size is None or not ("page size" in about or "page[size]" in about):
            return None
        largest = int(named[1]) if named else None
        if largest is not None and not 0 < largest < size:
            return None
        self._largest_page[error.operation] = largest
        logger.info("%s allows %s rows a page, not %s", error.operation, largest or "its own number of", size)
        return urls.with_page_size(url, largest)

    def _fitting(self, operation: str, url: str) -> str:
        size = urls.page_size(url)
        if size is None or operation not in self._largest_page:
            return url
        largest = self._largest_page[operation]
        return urls.with_page_size(url, largest if largest is None else min(size, largest))

    def _following(self, page: Page) -> str | None:
        if page.next is None:
            return None
        url = urls.on_same_server(self.base_url, page.next)
        if url is None:
            raise PaginationError(page.operation, "a link leads to another server, which must not see the API key")
        return url

    # Requests

    def _request(
        self,
        method: str,
        operation: str,
        url: str,
        body: bytes | None = None,
        *,
        heavy: bool = False,
        many: bool = False,
        revision: str | None = None,
    ) -> Page:
        headers = {"revision": revision or revision_of(operation), **({"Content-Type": JSON_API} if body else {})}
        limited = limits(operation, parse_qs(urlsplit(url).query))
        failures = 0
        while True:
            try:
                return self._exchange(method, operation, url, headers, body, limited, many)
            except Transient as failure:
                cause = failure
            failures += 1
            if heavy and cause.status in _HEAVY and failures >= _HEAVY_TRIES:
                raise _TooHeavy
            wait = max(retries.delay(failures), cause.retry_after or 0.0)
            if cause.foreign and failures >= self._tries:
                raise ForeignAnswer(operation, self._scrub(cause.foreign), self.base_url)
            tries = 1 if self._unreachable and cause.unreachable else self._tries
            if failures >= tries or wait > LONGEST_WAIT:
                self._unreachable = cause.unreachable
                raise ApiUnavailable(operation, self._scrub(cause.reason), failures, cause.status)
            self.stats.add(retries=1)
            logger.log(
                logging.INFO if wait > _LONG_WAIT else logging.DEBUG,
                "%s failed (%s), trying again in %.1f s",
                operation,
                self._scrub(cause.reason),
                wait,
            )
            self._wait(wait)

    def _exchange(
        self,
        method: str,
        operation: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limited: list[tuple[str, Rate]],
        many: bool,
    ) -> Page:
        """One try: a page, or what went wrong with it."""
        response = self._send(method, url, headers, body, limited)
        if not 200 <= response.status_code < 300:
            raise retries.failure(operation, response, self._scrub, self.base_url)
        try:
            return Page.of(response.content, operation, urls.page_size(url), many=many)
        except ValueError as error:
            failure = Transient(f"an answer that is not a JSON:API document: {error}")
            failure.foreign = retries.foreign(response.content)
        raise failure

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limited: list[tuple[str, Rate]],
    ) -> requests.Response:
        """The first answer that is not a 429, as soon as the rate limits allow it."""
        while True:
            # The limit is taken only when the request can leave at once, and a place only when the limit allows it.
            with self._concurrency.place() as began:
                if self._closed.is_set():
                    raise KlaviyoError("The client is closed.")
                wait = self._limiter.take(limited)
                if wait == 0:
                    response = self._send_now(method, url, headers, body)
                    if response.status_code == 429 or response.status_code >= 500:
                        self._concurrency.refused(began)
                    else:
                        self._concurrency.answered(limited[-1][0], began)
                    if response.status_code != 429:
                        self._limiter.accepted(limited, told(response.headers))
                        return response
                    self.stats.add(throttled=1)
                    self._limiter.refused(limited, retries.retry_after(response))
                    continue
            if wait > _LONG_WAIT:
                logger.info("Waiting %.0f s for the rate limit of %s", wait, limited[-1][0])
            self.stats.add(seconds_waited=wait)
            self._wait(wait)

    def _send_now(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.Response:
        self.stats.add(requests=1)
        try:
            response = self._session.request(
                method, url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            )
            deadline = self._clock() + LONGEST_WAIT
            load_body(response, lambda: self._clock() < deadline)
        except requests.RequestException as error:
            reason, unreachable = retries.reason(error), retries.unreachable(error)
        else:
            self._unreachable = False
            self.stats.add(bytes=len(response.content))
            at = retries.http_date(response.headers.get("Date", ""))
            if at is not None:
                self._server_time = (at, self._clock())
            return response
        # Outside of `except`: the exception carries the prepared request, key included, and must not be chained.
        raise Transient(reason, unreachable=unreachable)

    def _wait(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._closed.is_set():
            raise KlaviyoError("The client is closed.")

    def _scrub(self, text: str) -> str:
        return text.replace(self._key, "***")


class _TooHeavy(Exception):
    pass
