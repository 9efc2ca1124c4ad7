from __future__ import annotations

import datetime as dt
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.schema.decoding import decoded
from klaviyo_assets.tables.jsonapi import included, instant, latest, related_id, related_ids, resources
from klaviyo_assets_tests.tables.shared import patient

DECODER = msgspec.json.Decoder()


@pytest.fixture
def new_york(monkeypatch):
    """A machine in another time zone."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-04T13:38:55+00:00",
        "2026-09-04 13:38:55+00:00",
        "2026-09-04T13:38:55Z",
        "2026-09-04T13:38:55",
        "2026-09-04T15:38:55+02:00",
        "2026-09-04T13:38:55.000000+00:00",
    ],
)
def test_every_format_of_the_api_is_the_same_instant(text, new_york):
    moment = instant(text)
    assert moment == dt.datetime(2026, 9, 4, 13, 38, 55, tzinfo=dt.UTC) == instant(1788529135)
    assert moment.utcoffset() == dt.timedelta(0)


def test_fractions_of_a_second_are_kept():
    assert instant("2026-09-04T13:38:44.935203+00:00").microsecond == 935203


@patient
@given(st.lists(st.sampled_from(["\ud83d", "\ude00", "\ud83d\ude00", "\\ud83d", "\\", '"', "é", "a", "\n"])))
def test_half_a_surrogate_pair_costs_nothing_but_itself(pieces):
    text = "".join(pieces)
    content = json.dumps({"a": text, text: 2**70}).encode()
    kept = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    document = decoded(DECODER, content)
    assert document == {**{"a": kept}, **{kept: 2**70}}


def test_what_is_no_json_stays_an_error():
    with pytest.raises(msgspec.DecodeError):
        decoded(DECODER, b'{"data": [')


def test_anything_may_be_null_or_missing():
    assert resources({"data": None}) == resources({}) == []
    assert resources({"data": {"id": "a"}}) == [{"id": "a"}]
    assert included({"included": None}, "tag") == {}
    for resource in (
        {},
        {"relationships": None},
        {"relationships": {"tags": None}},
        {"relationships": {"tags": {"links": {}}}},
        {"relationships": {"tags": {"data": None}}},
        {"relationships": {"tags": {"data": []}}},
        {"relationships": {"tags": {"data": {"id": ""}}}},
    ):
        assert related_ids(resource, "tags") == []
        assert related_id(resource, "tags") is None


def test_one_row_per_key():
    rows = [{"k": "a", "n": 3}, {"k": "b", "n": 1}, {"k": "a", "n": 2}, {"k": None, "n": 9}, {"k": "", "n": 9}]
    assert latest(rows, "k") == [{"k": "a", "n": 2}, {"k": "b", "n": 1}]
    assert latest(rows, "k", by=lambda row: row["n"]) == [{"k": "a", "n": 3}, {"k": "b", "n": 1}]
