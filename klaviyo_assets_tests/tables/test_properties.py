"""Properties of one kind, converted all at once, come to what their JSON text alone would come to."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.decoding import repaired
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.tables.events import EVENT, EventContext, columns
from klaviyo_assets.tables.naming import column_names
from klaviyo_assets.warehouse import appearing
from klaviyo_assets.warehouse.batches import column_type, typed_batch, typed_batches
from klaviyo_assets_tests.tables.shared import patient

CONTEXT = EventContext({}, {})
NUMBERS = [
    "0", "-0", "7", "5.0", "0.10", "1E5", "1e-7", "-3", "9007199254740992", "9007199254740993", "-9007199254740993",
    "9007199254740993.0", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e308", "1e400",
    "123456789012345678901234567890", "9" * 5000, "NaN", "-Infinity",
]  # fmt: skip
STRINGS = [
    '""', '"x"', '"5"', '"null"', r'"\u00e9\n\"\\"', r'"\ud83d"', r'"\ud83d\ude00"', '"2026-03-01T08:00:12+00:00"',
    '"2026-03-01 08:00:12.123456Z"', '"2026-03-01T08:00:12.1234567Z"', '"2026-03-01T08:00:12"',
    '"2026-13-01T08:00:12Z"', '"0000-03-01T08:00:12Z"', '"٢٠٢٦-03-01T08:00:12Z"', '"2026-03-01T08:00:12Z\\n"',
]  # fmt: skip
NESTED = ['{"a" : 1.50}', "[ 1, 2.0 ]", "[]", "{}", '[{"n": [null, "]"]}]', "[" * 600 + "]" * 600]
KINDS = [
    NUMBERS,
    NUMBERS[:8],
    STRINGS,
    STRINGS[7:9],
    ["true", "false"],
    NESTED,
    ["null"],
    [*NUMBERS, *STRINGS, *NESTED],
]
KEYS = ["a", "b", "A", "$a", "Item Count", "item_count", "item.count", "é", "Value", "$value", "value text",
        "$attribution", "attribution", "$flow", "$message"]  # fmt: skip

texts = st.sampled_from(KINDS).flatmap(lambda kind: st.sampled_from([*kind, "null"]))
some_keys = st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=4)


@st.composite
def events(draw: st.DrawFn) -> list[list[dict[str, str]]]:
    """Pages of events, their properties as JSON text; most properties keep their kind, in a page or in all."""
    pages = []
    kinds = {key: draw(st.sampled_from(KINDS)) for key in KEYS}
    for _ in range(draw(st.integers(1, 3))):
        switched = kinds | {key: draw(st.sampled_from(KINDS)) for key in draw(some_keys)}
        value = st.sampled_from(KEYS).flatmap(
            lambda key, switched=switched: st.tuples(st.just(key), st.sampled_from([*switched[key], "null"]))
        )
        pages.append(draw(st.lists(st.lists(value, max_size=6).map(dict), min_size=1, max_size=5)))
    return pages


def page(rows: list[dict[str, str]], number: int) -> bytes:
    """A page as the client gives it on."""
    found = []
    for place, properties in enumerate(rows):
        members = ", ".join(f"{json.dumps(key)}: {text}" for key, text in properties.items())
        found.append(f'{{"id": "{number}-{place}", "attributes": {{"event_properties": {{{members}}}}}}}')
    return repaired(f'{{"data": [{", ".join(found)}]}}'.encode())


def described(batch: pa.RecordBatch) -> dict[str, tuple[Type, list[Any]]]:
    """Column -> its type and its values, so that 1 is not 1.0."""
    return {field.name: (column_type(field), list(map(repr, batch[field.name].to_pylist()))) for field in batch.schema}


def exact(content: bytes) -> Columns:
    return columns(content, CONTEXT).exactly()


@patient
@given(events())
@example([[{"a": "1"}, {"a": "2"}], [{"a": "1.5"}], [{"a": "9007199254740993"}]])
@example([[{"a": "1", "b": "true"}], [{"a": '"0.10"'}, {"b": "1"}], [{"a": "0.10"}]])
@example([[{"a": "0.10"}], [{"a": '"x"'}]])
@example([[{"a": '"2026-03-01T08:00:12Z"'}], [{"a": '"soon"'}]])
@example([[{"A": "1", "a": "2"}, {"A": "3"}, {"$a": "null", "A": "4"}]])
@example([[{"a": "1e400"}, {"a": "1"}], [{"a": "-9223372036854775808"}]])
def test_values_of_one_kind_become_what_their_texts_would(pages: list[list[dict[str, str]]]) -> None:
    contents = [page(rows, number) for number, rows in enumerate(pages)]
    (fast,) = typed_batches([columns(content, CONTEXT) for content in contents], EVENT, rows=100)
    (slow,) = typed_batches([exact(content) for content in contents], EVENT, rows=100)
    assert described(fast) == described(slow)


@patient
@given(events())
@example([[{"A": "1", "a": "2"}, {"A": "3"}, {"$a": "null", "A": "4"}]])
def test_each_property_is_in_the_column_that_its_row_gives_it(pages: list[list[dict[str, str]]]) -> None:
    for number, rows in enumerate(pages):
        found = exact(page(rows, number)).dynamic
        for row, properties in enumerate(rows):
            for key, column in column_names(tuple(properties), "property_").items():
                if key in ("$flow", "$message") or column.startswith(("property_value", "property_attribution")):
                    continue
                kept = [key for key in properties if key not in ("$flow", "$message")]
                assert column == column_names(kept, "property_")[key]
                (text,) = page_texts(properties, key)
                given = found[column][row] if column in found else None
                assert (text == b"null" and given is None) or bytes(given or b"") == text


def page_texts(properties: dict[str, str], key: str) -> list[bytes]:
    members = columns(page([{"x": properties[key]}], 0), CONTEXT).exactly().dynamic
    return [bytes(values[0] or b"null") for values in members.values()] or [b"null"]


def test_values_of_one_kind_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(slices: Any) -> None:
        raise AssertionError(slices)

    monkeypatch.setattr(appearing, "_of_one_kind", refuse)
    values = {"a": '"x"', "b": "true", "c": "0.5", "d": '"2026-03-01T08:00:12Z"'}
    pages = [columns(page([values | {"e": number}] * 3, n), CONTEXT) for n, number in enumerate(("1", "1.5", "2"))]
    (batch,) = typed_batches(pages, EVENT, rows=100)
    kinds = {name.removeprefix("property_"): kind for name, (kind, _) in described(batch).items()}
    assert [kinds[name] for name in "abcde"] == [Type.TEXT, Type.BOOLEAN, Type.DOUBLE, Type.TIMESTAMP, Type.DOUBLE]


def test_the_text_of_a_value_is_the_one_that_came() -> None:
    content = page([{"a": "0.10"}, {"a": '"x"'}, {"b": "1E5"}], 0)
    batch = typed_batch(columns(content, CONTEXT), EVENT)
    assert batch["property_a"].to_pylist() == ["0.10", "x", None]
    assert columns(content, CONTEXT).exactly().dynamic["property_b"] == [None, None, Raw(b"1E5")]
