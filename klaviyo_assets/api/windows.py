"""Reading a range of time concurrently.

The pages of a collection form a chain: each names the next. Concurrency comes from dividing the range into windows
[lo, hi), each with a chain of its own. How many rows a second of history has is unknown beforehand and varies by
orders of magnitude, so nothing is planned: the read begins with one window, and whenever a page shows that its window
goes on while workers are free, the rest of the window is divided among them. A quiet hour costs a request or two, a
dense history occupies every worker after the first page.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from klaviyo_assets.api.page import Page
from klaviyo_assets.schema.values import FIRST_SECOND, LAST_SECOND

Fetch = Callable[[datetime, datetime | None], Iterator[Page]]
Times = Callable[[Page], Sequence[datetime | None]]

MARGIN = timedelta(seconds=60)
"""How far behind the server's clock a bound has to stay: Klaviyo shows the latest rows late, and refuses bounds that
are within some seconds of now."""

_LEAST_PAGES = 2  # per piece, by estimate: of smaller pieces most pages would be half empty
_CLOSING_SECONDS = 5.0


class Progress(NamedTuple):
    """How far a read has come: seconds of the range done and in all, pages and rows delivered so far."""

    seconds_done: float
    seconds_in_all: float
    pages: int
    rows: int


def read_windows(
    fetch: Fetch,
    start: datetime,
    end: datetime | None,
    *,
    times: Times,
    workers: int,
    now: datetime | None = None,
    first_windows: int = 1,
    buffer: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Iterator[Page]:
    """The pages of every row whose time is in [start, end), read by up to `workers` threads, in no order.

    No row is lost; a row of a second where a window was divided may come twice, so match rows by their key. Closing
    the generator early ends the workers after the page that they are reading, for which it waits up to five seconds.

    Args:
        fetch: Called with (lo, hi), returns the pages of one window, ascending in time: at least the rows of [lo, hi),
            or of everything from `lo` on if `hi` is None; and at most those of a second more on either side.
        start: Aware, widened to whole seconds, the API's own grain.
        end: As `start`. None leaves the newest window open, for everything from `start` on; only what is older than
            `now` less `MARGIN` is divided then, because newer bounds are refused.
        times: Returns the times of a page's rows in their order (`attribute_times`). A page that is not ascending, or
            has a row without a time, makes its window stay whole.
        workers: How many threads read.
        now: The server's time. Default: the local clock.
        first_windows: To begin with more than one window, for a range known to be dense.
        buffer: How many pages wait for the consumer, besides one in the hands of each worker. Default: `workers`.
        on_progress: Called in the consumer's thread, before each page.

    Raises:
        ValueError: `workers` or `first_windows` is less than 1.
        KlaviyoError: The first error of any worker, which ends all of them.

    Example:
        >>> from functools import partial
        >>> from klaviyo_assets.api import KlaviyoClient, attribute_times, between
        >>> from klaviyo_assets.sandbox import Sandbox
        >>> from klaviyo_assets.sandbox.shop.generate import generate_account
        >>> now = datetime(2026, 9, 4, 12, tzinfo=UTC)
        >>> account = generate_account(events=3_000, profiles=100, days=2, now=now)
        >>> with Sandbox(account) as sandbox, KlaviyoClient("pk_sandbox", base_url=sandbox.url) as client:
        ...     def fetch(lo, hi):
        ...         params = {"filter": between("datetime", lo, hi), "sort": "datetime", "page[size]": 200}
        ...         return client.pages("get_events", "/events", params)
        ...     start, end = now - timedelta(days=2), now - timedelta(hours=1)
        ...     pages = read_windows(fetch, start, end, times=attribute_times("datetime"), workers=4)
        ...     ids = {event["id"] for page in pages for event in page.json()["data"]}
        >>> len(ids) > 2_000
        True
    """
    if workers < 1 or first_windows < 1:
        raise ValueError("workers and first_windows must be at least 1")
    lo = math.floor(_seconds(start))
    hi = None if end is None else math.ceil(_seconds(end))
    if hi is not None and hi <= lo:
        return
    horizon = max(lo, math.floor(_seconds((now or datetime.now(UTC)) - MARGIN))) if hi is None else hi
    reader = _Reader(fetch, times, workers, buffer or workers, horizon)
    reader.start(_divide(lo, hi, horizon, min(first_windows, workers)) or [_Window(lo, hi)])
    seconds, pages, rows = 0, 0, 0
    try:
        for page, page_rows, advance in reader.delivered():
            if on_progress:
                seconds, pages, rows = seconds + advance, pages + 1, rows + page_rows
                on_progress(Progress(seconds, horizon - lo, pages, rows))
            yield page
    finally:
        reader.stop()


class _Window(NamedTuple):
    """Rows at or after second `lo` and before `hi` (None: no end)."""

    lo: int
    hi: int | None


class _Reader:
    """One thread per window; never more than `workers`, because a window is divided only among free ones."""

    def __init__(self, fetch: Fetch, times: Times, workers: int, buffer: int, horizon: int) -> None:
        self._fetch = fetch
        self._times = times
        self._free = workers
        self._buffer = buffer
        self._horizon = horizon
        self._changed = threading.Condition()
        self._pages: deque[tuple[Page, int, int]] = deque()
        self._threads: set[threading.Thread] = set()
        self._error: BaseException | None = None
        self._stopped = False

    def start(self, windows: Sequence[_Window]) -> None:
        with self._changed:
            for window in windows:
                # Daemons: an answer that takes minutes must not hold up the end of the process.
                thread = threading.Thread(target=self._run, args=(window,), name="klaviyo-window", daemon=True)
                thread.start()
                self._threads.add(thread)
                self._free -= 1

    def delivered(self) -> Iterator[tuple[Page, int, int]]:
        """The pages, each with the number of its rows and the seconds of the range that it completes."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pages or self._error or not self._threads)
                if self._error:
                    raise self._error
                if not self._pages:
                    return
                page = self._pages.popleft()
                self._changed.notify_all()
            yield page

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._pages.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        deadline = time.monotonic() + _CLOSING_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, window: _Window) -> None:
        error: BaseException | None = None
        try:
            rest: _Window | None = window
            while rest is not None:
                rest = self._read(rest)
        except BaseException as failure:  # noqa: BLE001 - raised in the consumer's thread
            error = failure
        with self._changed:
            if error is not None:
                self._error = self._error or error
                self._stopped = True
            self._threads.discard(threading.current_thread())
            self._free += 1
            self._changed.notify_all()

    def _deliver(self, page: Page, rows: int, advance: int) -> bool:
        """Hands a page to the consumer once there is room; False if nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pages) < self._buffer)
            if not self._stopped:
                self._pages.append((page, rows, advance))
                self._changed.notify_all()
            return not self._stopped

    def _share(self, lo: int, hi: int | None, span: float, *, keep: bool) -> _Window | None:
        """Divides [lo, hi) among the free workers and, with `keep`, the caller, whose piece is the one returned.

        None if it is not worth it. `span` is the seconds that the last page covered, which tells how many are left.
        """
        pages_left = ((self._horizon if hi is None else hi) - lo) / max(1.0, span)
        if pages_left < 1:
            return None
        with self._changed:
            takers = self._free + keep
            pieces = _divide(lo, hi, self._horizon, min(takers, max(1 + keep, int(pages_left / _LEAST_PAGES))))
            if self._stopped or len(pieces) < 1 + keep:
                return None
            self.start(pieces[keep:])
        return pieces[0]

    def _read(self, window: _Window) -> _Window | None:
        """Reads a window, or its beginning if the rest was divided; returns the piece to go on with, if any."""
        lo, hi = window
        end = max(lo, self._horizon) if hi is None else hi  # of what this chain answers for
        done = lo
        ascending, latest = True, -math.inf
        shared = False
        for page in self._fetch(_datetime(lo), None if hi is None else _datetime(hi)):
            if page.next is None:
                self._deliver(page, page.rows, end - done)
                return None
            times = [-math.inf if t is None else t.timestamp() for t in self._times(page)]
            ascending = ascending and all(a <= b for a, b in pairwise([latest, *times])) and -math.inf not in times
            # In an answer there may be times that datetime does not have: the last hour of 9999, west of Greenwich.
            if not times or not ascending or not FIRST_SECOND <= times[0] <= times[-1] <= LAST_SECOND:
                if not self._deliver(page, len(times), 0):
                    return None
                continue
            latest = times[-1]
            first, last = math.floor(times[0]), math.floor(latest)
            rest: _Window | None = None
            if not shared and not (page.size and len(times) < page.size):
                if first < last and lo < last:
                    rest = self._share(last, hi, latest - times[0], keep=True)
                elif lo <= last and self._share(last + 2, hi, latest - times[0], keep=False):
                    # All of the page is one second, which nothing divides: its own cursor has to be followed. The next
                    # one as well: a `fetch` that gives a second more than its window would give this one again.
                    shared, end = True, last + 2
            reached = min(max(done, last), end)
            if not self._deliver(page, len(times), reached - done) or (shared and last >= end):
                return None
            if rest is not None:
                return rest
            done = reached
        return None


def _divide(lo: int, hi: int | None, horizon: int, pieces: int) -> list[_Window]:
    """[lo, hi) in equal pieces of at least a second; if `hi` is None, up to the horizon and the last one open."""
    end = horizon if hi is None else hi
    pieces = min(pieces, end - lo)
    cuts = [lo + (end - lo) * i // pieces for i in range(pieces)]
    return [_Window(a, b) for a, b in zip(cuts, [*cuts[1:], hi], strict=False)]


def _seconds(time: datetime) -> float:
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone")
    return time.timestamp()


def _datetime(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
