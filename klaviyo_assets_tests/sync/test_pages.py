"""Rows of pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.sync.pages import EventPages, ProfilePages
from klaviyo_assets.tables import events, profiles
from klaviyo_assets.workers.conversion import Convert

EVENT = b'{"data":[{"type":"event","id":"E1","attributes":{"event_properties":{"a":1}}}]}'
PROFILE = b'{"data":[{"type":"profile","id":"P1","attributes":{"properties":{"a":1}}}]}'


@pytest.mark.parametrize(
    ("make", "content", "table"),
    [
        (lambda: EventPages(ColumnPolicy(), events.EventContext({}, {})), EVENT, "event"),
        (lambda: ProfilePages(ColumnPolicy()), PROFILE, "person"),
    ],
    ids=["events", "profiles"],
)
def test_properties_are_decoded_once(
    make: Callable[[], Convert], content: bytes, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (events, profiles):
        monkeypatch.setattr(module, "exact_properties", None)  # what packing needs, which nobody has asked for
    assert make()(content)[table].rows == 1
