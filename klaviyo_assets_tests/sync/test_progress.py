"""Progress of a long read: in the log every few seconds, and to listeners at once."""

from __future__ import annotations

import logging

import pytest

from klaviyo_assets.sync.progress import ProgressReport, ProgressReporter, listening

DAY = 86_400


def test_progress_is_logged_every_five_seconds_and_told_to_listeners(caplog: pytest.LogCaptureFixture) -> None:
    time = [100.0]
    heard: list[ProgressReport] = []
    caplog.set_level(logging.INFO)
    with listening(heard.append):
        report = ProgressReporter("event", logging.getLogger("test"), clock=lambda: time[0])
        for second in range(1, 12):
            time[0] = 100.0 + second
            report(second * DAY, 20 * DAY, second, second * 1_000)
    assert len(heard) == 11 and heard[-1].share == pytest.approx(0.55)
    assert caplog.messages == [
        "event: 25% (5 of 20 days, 15 left), 5,000 rows, 1,000 rows/s, about 0:00:15 to go",
        "event: 50% (10 of 20 days, 10 left), 10,000 rows, 1,000 rows/s, about 0:00:10 to go",
    ]
    report(20 * DAY, 20 * DAY, 20, 20_000)
    assert len(heard) == 11, "nobody listens any more"


def test_a_range_of_no_length_is_done() -> None:
    assert ProgressReport("person", 0, 0, 0, 0, 0.0).share == 1.0
    assert "100%" in str(ProgressReport("person", 0, 0, 1, 10, 0.0))
