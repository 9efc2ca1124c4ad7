from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.api import Page, Progress, attribute_times, read_windows

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = attribute_times("datetime")


class History:
    """Rows at given seconds after START, served like Klaviyo's events: half-open windows, keyset pages."""

    def __init__(self, seconds: list[float], page_size: int = 10, *, trailing_empty_page: bool = False) -> None:
        self.rows = sorted((START + timedelta(seconds=s), f"r{i}") for i, s in enumerate(seconds))
        self.page_size = page_size
        self.trailing_empty_page = trailing_empty_page
        self.windows: list[tuple[datetime, datetime | None]] = []
        self.pages = 0
        self.reading = 0
        self.most_at_once = 0
        self.latency = 0.0
        self.lock = threading.Lock()

    def fetch(self, lo: datetime, hi: datetime | None) -> Iterator[Page]:
        self.windows.append((lo, hi))
        rows = [row for row in self.rows if lo <= row[0] and (hi is None or row[0] < hi)]
        return self.paged(rows)

    def paged(self, rows: list[tuple[datetime, str]]) -> Iterator[Page]:
        starts = list(range(0, len(rows), self.page_size)) or [0]
        if self.trailing_empty_page and rows:
            starts.append(len(rows))
        for start in starts:
            with self.lock:
                self.pages += 1
                self.reading += 1
                self.most_at_once = max(self.most_at_once, self.reading)
            time.sleep(self.latency)
            data = [
                {"type": "event", "id": id, "attributes": {"datetime": t.isoformat()}}
                for t, id in rows[start : start + self.page_size]
            ]
            more = "next" if start != starts[-1] else None
            with self.lock:
                self.reading -= 1
            yield Page.of(msgspec.json.encode({"data": data, "links": {"next": more}}), "get_events", self.page_size)


def ids(pages: Iterator[Page]) -> Counter[str]:
    return Counter(row["id"] for page in pages for row in page.json()["data"])


def window_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "klaviyo-window"]


# Uniform, bursts within one second, fractions of seconds, and a few far away ones, mixed.
second = st.one_of(
    st.integers(0, 10_000),
    st.sampled_from([0, 1, 5000, 5001, 9999]),
    st.floats(0, 10_000, allow_nan=False).map(lambda s: round(s, 6)),
    st.integers(-100, 20_000),
)


@settings(max_examples=150, deadline=None)
@given(
    seconds=st.lists(second, max_size=200),
    dense=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 60)), max_size=3),
    page_size=st.integers(1, 20),
    workers=st.integers(1, 8),
    first_windows=st.integers(1, 10),
    length=st.sampled_from([1, 2, 100, 10_000, None]),
    trailing=st.booleans(),
)
def test_every_row_comes_and_none_from_outside(
    seconds: list[float],
    dense: list[tuple[int, int]],
    page_size: int,
    workers: int,
    first_windows: int,
    length: int | None,
    trailing: bool,
) -> None:
    history = History(seconds + [s for s, n in dense for _ in range(n)], page_size, trailing_empty_page=trailing)
    end = None if length is None else START + timedelta(seconds=length)
    steps: list[Progress] = []
    found = ids(
        read_windows(
            history.fetch,
            START,
            end,
            times=TIMES,
            workers=workers,
            now=START + timedelta(seconds=9000),
            first_windows=first_windows,
            on_progress=steps.append,
        )
    )
    expected = {id for t, id in history.rows if t >= START and (end is None or t < end)}
    assert set(found) == expected
    assert history.most_at_once <= workers
    assert steps[-1].seconds_done == steps[-1].seconds_in_all == (8940 if length is None else length)
    if length is None:  # Klaviyo refuses bounds near now
        assert max(bound for window in history.windows for bound in window if bound) <= START + timedelta(seconds=8940)
    assert steps[-1].rows == found.total() and steps[-1].pages == len(steps)
    assert all(a.seconds_done <= b.seconds_done for a, b in pairwise(steps))


@settings(max_examples=50, deadline=None)
@given(seconds=st.lists(st.integers(1, 999), min_size=20, max_size=100), seed=st.integers(), workers=st.integers(1, 8))
def test_pages_out_of_order_keep_their_window_whole(seconds: list[int], seed: int, workers: int) -> None:
    history = History([0.0, 1000.0, *seconds])

    def unordered(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        history.windows.append((lo, hi))
        oldest, *rows, newest = (row for row in history.rows if lo <= row[0])
        Random(seed).shuffle(rows)
        return history.paged([newest, oldest, *rows])  # disorder can only be known once it shows

    found = ids(read_windows(unordered, START, START + HOUR, times=TIMES, workers=workers))
    assert found == Counter(id for _, id in history.rows)
    assert len(history.windows) == 1


def test_a_row_without_a_time_keeps_its_window_whole() -> None:
    history = History([float(s) for s in range(100)])
    no_times = [None] * 10
    found = ids(read_windows(history.fetch, START, None, times=lambda page: no_times, workers=8))
    assert set(found.values()) == {1} and found.total() == 100
    assert len(history.windows) == 1


def test_a_quiet_range_costs_one_request() -> None:
    history = History([5.0, 1800.0, 3599.0])
    found = ids(read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=16))
    assert found.total() == 3
    assert history.pages == 1

    # Klaviyo may show a next page after a short one: that costs one more, and divides nothing.
    history = History([5.0, 600.0, 900.0], trailing_empty_page=True)
    found = ids(read_windows(history.fetch, START, None, times=TIMES, workers=16, now=START + HOUR))
    assert found.total() == 3
    assert history.pages == 2


def test_a_dense_history_occupies_every_worker_after_one_page() -> None:
    history = History([s / 10 for s in range(20_000)], page_size=100)
    history.latency = 0.02
    began = time.monotonic()
    found = ids(read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=10))
    took = time.monotonic() - began
    assert len(found) == 20_000
    assert history.most_at_once == 10
    # 200 pages of 20 ms are 4 s one after the other and 0.42 s at best.
    assert took < 2.5
    # A division costs up to the rows of one second and a half-empty page.
    assert found.total() < 20_000 * 1.05
    assert history.pages < 200 * 1.4


def test_a_history_that_grows_denser_is_divided_again() -> None:
    # All but 100 of the rows lie in the last 2 % of the range.
    history = History([float(s) for s in range(0, 9800, 98)] + [9800 + i / 100 for i in range(20_000)], page_size=100)
    history.latency = 0.02
    began = time.monotonic()
    found = ids(read_windows(history.fetch, START, START + timedelta(seconds=10_000), times=TIMES, workers=10))
    assert len(found) == 20_100
    assert time.monotonic() - began < 3.0  # one after the other: 4 s
    assert history.most_at_once == 10


def test_a_dense_second_follows_its_cursor_while_others_read_on() -> None:
    history = History([3.0] * 200 + [float(s) for s in range(3600)], page_size=10)
    history.latency = 0.002
    found = ids(read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=4))
    assert len(found) == 3800
    second = START + timedelta(seconds=3)
    # The rows of the dense second are read at most once more than needed: the windows that begin there are few.
    assert sum(lo == second for lo, _ in history.windows) <= 1
    assert found.total() < 3800 * 1.1
    assert history.most_at_once == 4


def test_a_dense_second_at_the_beginning_is_read_once() -> None:
    history = History([0.0] * 200 + [float(s) for s in range(1, 3600)], page_size=10)
    found = ids(read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=4))
    assert len(found) == 3799
    assert [lo for lo, _ in history.windows].count(START) == 1


def test_bounds_are_widened_to_whole_seconds() -> None:
    history = History([0.2, 5.0, 9.95])
    half = timedelta(seconds=0.5)
    assert ids(read_windows(history.fetch, START + half, START + 19 * half, times=TIMES, workers=1)).total() == 3
    assert history.windows == [(START, START + timedelta(seconds=10))]


def test_a_field_without_greater_or_equal_may_be_asked_for_wider() -> None:
    history = History([s / 7 for s in range(7_000)], page_size=20)
    wider = timedelta(seconds=1)

    def fetch(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        return history.fetch(lo - wider, None if hi is None else hi + wider)

    end = START + timedelta(seconds=500)
    found = ids(read_windows(fetch, START + timedelta(seconds=100), end, times=TIMES, workers=5))
    assert set(found) >= {id for t, id in history.rows if START + timedelta(seconds=100) <= t < end}


@pytest.mark.parametrize("workers", [2, 8])
def test_a_dense_second_that_each_window_gives_is_not_read_again_and_again(workers: int) -> None:
    """As profiles of one import: they have one second, with fractions, and a bound is a second wider."""
    history = History([5000.25 + n / 10_000 for n in range(500)] + list(range(0, 10_000, 100)))
    history.latency = 0.001

    def wider(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        second = timedelta(seconds=1)
        rows = [row for row in history.rows if lo - second < row[0] and (hi is None or row[0] < hi + second)]
        return history.paged(rows)

    found = ids(read_windows(wider, START, START + 3 * HOUR, times=TIMES, workers=workers))
    assert found.keys() == {id for _, id in history.rows}
    assert history.pages <= 80  # of 60 that are full


def test_a_consumer_that_stalls_stalls_the_workers() -> None:
    history = History([float(s) for s in range(3600)], page_size=10)
    pages = read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=4, buffer=3)
    next(pages)
    settled = _settle(lambda: history.pages)
    assert settled <= 1 + 3 + 4  # taken, waiting, and one in the hands of each worker
    assert len(ids(pages)) >= 3590
    assert not window_threads()


def test_closing_early_ends_the_workers() -> None:
    history = History([float(s) for s in range(3600)], page_size=10)
    pages = read_windows(history.fetch, START, START + HOUR, times=TIMES, workers=4)
    next(pages)
    assert window_threads()
    pages.close()  # type: ignore[attr-defined]
    assert not window_threads()
    read = history.pages
    assert _settle(lambda: history.pages) == read


def test_the_first_error_ends_everything() -> None:
    history = History([float(s) for s in range(3600)], page_size=10)

    def fetch(lo: datetime, hi: datetime | None) -> Iterator[Page]:
        for page in history.fetch(lo, hi):
            yield page
            if history.pages > 40:
                raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        ids(read_windows(fetch, START, START + HOUR, times=TIMES, workers=4))
    assert not window_threads()
    assert history.pages < 60


def test_what_makes_no_sense_is_refused() -> None:
    history = History([1.0])
    assert not ids(read_windows(history.fetch, START, START, times=TIMES, workers=2))
    assert not history.windows
    with pytest.raises(ValueError, match="time zone"):
        ids(read_windows(history.fetch, START.replace(tzinfo=None), None, times=TIMES, workers=2))
    with pytest.raises(ValueError, match="at least 1"):
        ids(read_windows(history.fetch, START, None, times=TIMES, workers=0))


def _settle(value: Callable[[], int]) -> int:
    """The value once it has not changed for 50 ms."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < 0.05:
        time.sleep(0.005)
        if value() != last:
            last, since = value(), time.monotonic()
    return last
