"""What a policy does to columns: nothing else than it says."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.privacy.packing import PACKED
from klaviyo_assets.privacy.policy import DIGEST, ColumnPolicy, Privacy, text_to_hash
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.metrics import METRIC
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.registry import FIRST_TABLES, TABLES
from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
from klaviyo_assets_tests.warehouse import helpers
from klaviyo_assets_tests.warehouse.helpers import load, rows, warehouse_at

SALT = b"salt"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["id", "email", "city", "zip", "custom_a", "custom_phone", "custom_my_phone", "custom_b_phones"]
)
PATTERNS = st.lists(st.sampled_from(["email", "city", "custom_*phone*", "custom_a", "c*y", "custom_?"]), max_size=3)


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", SALT.decode())


def digest(text: str) -> str:
    return DIGEST + hmac.new(SALT, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, st.lists(VALUES, min_size=3, max_size=3)), PATTERNS, PATTERNS)
def test_a_policy_alters_no_other_column_and_loses_no_row(
    table: dict[str, list[Any]], blocked: list[str], hashed: list[str]
) -> None:
    policy = ColumnPolicy(tuple(blocked), tuple(hashed))
    declared = {n: v for n, v in table.items() if not n.startswith("custom_")}
    dynamic: dict[str, Any] = {n: [raw(v) for v in values] for n, values in table.items() if n.startswith("custom_")}
    found = policy.apply(Columns(3, declared, dynamic))
    assert found.rows == 3
    for given_columns, masked in ((declared, found.declared), (dynamic, found.dynamic)):
        gone = {name for name in given_columns if any(fnmatch.fnmatchcase(name, p) for p in blocked)}
        assert masked.keys() == given_columns.keys() - gone and list(masked) == [
            n for n in given_columns if n in masked
        ]
        for name, values in masked.items():
            if not any(fnmatch.fnmatchcase(name, p) for p in hashed):
                assert values is given_columns[name]
                continue
            texts = [text_to_hash(value) for value in given_columns[name]]
            wanted = [None if text is None else digest(text) for text in texts]
            assert list(map(text_to_hash, values)) == wanted
    again = policy.apply(found)
    assert (again.declared, again.dynamic) == (found.declared, found.dynamic), "a digest stays what it is"


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["a", "A", "$value", "My Phone", "phone 2", "", "é", "x" * 300]), VALUES), PATTERNS
)
def test_packing_keeps_what_is_not_named(properties: dict[str, Any], patterns: list[str]) -> None:
    packing = PACKED["person"]
    policy = ColumnPolicy((), tuple(patterns), packing=packing, packs=True)
    packed = policy.packed({key: raw(value) for key, value in properties.items()})
    found = json.loads(packed) if packed else {}
    assert found.keys() == properties.keys()
    names = packing.column_names(properties)
    for key, value in properties.items():
        is_hashed = policy.hashes(names[key]) and value is not None
        assert found[key] == (digest(str(text_to_hash(raw(value)))) if is_hashed else json.loads(json.dumps(value)))
    text = packed.decode() if packed else "{}"
    assert policy.is_old_json(packing.column, text) is False
    assert (policy.apply_to_json(packing.column, text) or "{}") == text


def test_the_same_value_has_the_same_digest_in_every_kind_of_column() -> None:
    policy = ColumnPolicy((), ("*",))
    found = policy.apply(
        Columns(6, {"email": ["a@b.c", None, "", 5, 5.0, True]},
                {"custom_email": [raw("a@b.c"), None, raw(""), raw(5), raw(None), raw(True)]})
    )  # fmt: skip
    declared, dynamic = found.declared["email"], list(map(text_to_hash, found.dynamic["custom_email"]))
    assert declared == [digest("a@b.c"), None, digest(""), digest("5"), digest("5"), digest("true")]
    assert dynamic == [digest("a@b.c"), None, digest(""), digest("5"), None, digest("true")]
    exact = policy.apply(Columns(1, {}, {"custom_n": [msgspec.Raw(b"12345678901234567890.10")]})).dynamic["custom_n"]
    assert text_to_hash(exact[0]) == digest("12345678901234567890.10")


def test_a_column_that_shares_its_name_is_treated_as_the_one_without_the_hash() -> None:
    policy = ColumnPolicy(("property_email",), ("property_value",))
    assert policy.blocks("property_email_1a2b3c4d") and not policy.blocks("property_email_domain")
    assert policy.hashes("property_value_text") and policy.hashes("property_value_text_1a2b3c4d")


def test_a_column_that_repeats_another_is_treated_at_least_as_that() -> None:
    for blocked, hashed, kept in (({"metric": ("name",)}, {}, False), ({}, {"metric": ("na*",)}, True)):
        table = Privacy(blocked, hashed).table(EVENT)
        assert ("type" in table.types) is kept
        assert ("type" in {lookup.column for lookup in table.lookups}) is kept
        assert {key.column for key in table.foreign_keys} == {key.column for key in EVENT.foreign_keys}
    table = Privacy({"event": ("type", "person_id")}, {}).table(EVENT)
    assert "type" not in table.types and "person_id" not in {key.column for key in table.foreign_keys}
    assert Privacy({"event": ("type",)}, {}).table(METRIC) is METRIC


def test_nothing_to_hide_costs_nothing() -> None:
    assert all(Settings().table(table) is table for table in TABLES)
    table = Settings(hashed_columns={"person": ["email"]}).table(PERSON)
    assert table.types["email"] is Type.TEXT and table.types.keys() == PERSON.types.keys()


def test_a_spool_takes_no_blocked_column() -> None:
    spec = replace(helpers.EVENT, policy=ColumnPolicy(("property_secret", "note"), ("property_n",)))
    with temporary_spool() as spool:
        writer = SpoolWriter(spec, spool)
        writer.add(helpers.event_columns([{"id": "1", "note": "x", "secret": 1, "n": 2, "kept": 3}]))
        writer.close()
        (file,) = spool.files
        assert file.types == {"id": Type.TEXT, "property_n": Type.TEXT, "property_kept": Type.BIGINT}


# Columns that appear, and tables


def test_columns_that_appear_later_are_left_out(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    spec = replace(helpers.EVENT, takes_new_columns=False)
    assert load(warehouse, [], spec=spec).columns_left_out == ()
    assert load(warehouse, [{"id": "1", "a": 1}], [{"id": "2", "b": 1}], spec=spec).columns_left_out == ()
    result = load(warehouse, [{"id": "3", "a": "text", "z": 1}], [{"id": "4", "c": 2, "note": "n"}], spec=spec)
    assert result.columns_left_out == ("property_c", "property_z") and result.columns_added == ()
    assert result.columns_widened == ("property_a",)
    found = rows(warehouse)
    assert [row["property_a"] for row in found] == ["1", None, "text", None]
    assert "property_z" not in found[0] and found[3]["note"] == "n"
    assert load(warehouse, [{"id": "3", "z": 1}]).columns_added == ("property_z",)


def test_tables_that_a_later_version_adds() -> None:
    added = replace(METRIC, name="added_later")
    assert {table.name for table in TABLES if not table.optional} - FIRST_TABLES == {
        "campaign_audience", "campaign_variation"
    }  # fmt: skip
    assert Settings().enabled(added)
    for policy in ("allow_columns", "block_all"):
        chosen = Settings(new_columns=policy)
        assert not chosen.enabled(added) and chosen.enabled(METRIC)
    assert Settings(new_columns="allow_columns", tables={"image": True}).enabled(
        next(table for table in TABLES if table.name == "image")
    )
    assert Settings(new_columns="block_all").table(EVENT).takes_new_columns is False
