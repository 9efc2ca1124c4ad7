from contextlib import ExitStack

import pytest

from klaviyo_assets.api.concurrency import Concurrency
from klaviyo_assets_tests.api.fake import FakeClock


def busy(concurrency: Concurrency, clock: FakeClock, *seconds: float) -> None:
    """As many requests at once as there are places; each takes one of the times, the shortest first."""
    with ExitStack() as places:
        taken = [places.enter_context(concurrency.place()) for _ in range(concurrency.limit)]
        for began, after in zip(taken, sorted(seconds), strict=True):
            clock.sleep(began + after - clock.now)
            concurrency.answered("get_events", began)


def test_it_doubles_until_it_falls_then_rises_by_one() -> None:
    clock = FakeClock()
    concurrency = Concurrency(16, clock)
    limits = [concurrency.limit]
    for _ in range(3):
        busy(concurrency, clock, *[0.5] * concurrency.limit)
        limits.append(concurrency.limit)
    with concurrency.place() as first, concurrency.place() as second:
        clock.sleep(0.5)
        concurrency.refused(first)
        concurrency.refused(second)  # was under way with it
    limits.append(concurrency.limit)
    for _ in range(2):
        busy(concurrency, clock, *[0.5] * concurrency.limit)
        limits.append(concurrency.limit)
    assert limits[:5] == [2, 4, 8, 16, 8]
    assert 8 <= limits[5] <= 9 <= limits[6] <= 10


def test_it_does_not_rise_far_above_what_is_used_nor_above_the_most() -> None:
    clock = FakeClock()
    concurrency = Concurrency(5, clock)
    for _ in range(9):
        with concurrency.place() as began:
            concurrency.answered("get_events", began)
    assert concurrency.limit == 2
    for _ in range(9):
        busy(concurrency, clock, *[0.5] * concurrency.limit)
    assert concurrency.limit == 5


def test_slow_answers_take_places_away_but_never_the_last() -> None:
    clock = FakeClock()
    concurrency = Concurrency(4, clock)
    busy(concurrency, clock, 0.5, 0.5)
    assert concurrency.limit == 4
    busy(concurrency, clock, 0.5, 0.5, 0.5, 1.8)
    assert concurrency.limit == 3
    for times in range(9):
        busy(concurrency, clock, *[2.0 * 3.5**times] * concurrency.limit)
    assert concurrency.limit == 1


def test_each_operation_has_its_own_usual_time() -> None:
    clock = FakeClock()
    concurrency = Concurrency(8, clock)
    for operation, seconds in [("get_tags", 0.1), ("get_reports", 9.0)] * 9:
        with concurrency.place() as began:
            clock.sleep(seconds)
            concurrency.answered(operation, began)
    assert concurrency.limit == 2


def test_an_error_gives_the_place_back_and_counts_as_a_refusal() -> None:
    concurrency = Concurrency(8, FakeClock())
    with pytest.raises(OSError), concurrency.place():
        raise OSError
    assert concurrency.limit == 1
    with concurrency.place():
        pass
