"""Values that were written before their columns were blocked or hashed, in every database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from klaviyo_assets.privacy.packing import PACKED
from klaviyo_assets.privacy.policy import SALT_VARIABLE, ColumnPolicy
from klaviyo_assets.privacy.policy import digest as digest_of
from klaviyo_assets_tests.warehouse import helpers
from klaviyo_assets_tests.warehouse.helpers import load, rows, warehouse_at

pytestmark = pytest.mark.every_database

SALT = "a long random text"


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT_VARIABLE, SALT)


def digest(text: str) -> str:
    return digest_of(text, SALT.encode())


def test_what_a_table_has_no_room_for_is_rewritten_by_the_names_of_its_columns(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path, max_dynamic_columns=1)
    load(warehouse, [{"id": "1", "a": 1, "card": "BLOCK", "mail": "RAW", "n": ["RAW"], "kept": 1.5, "none": None}])
    load(warehouse, [{"id": "2", "a": 1, "card": "BLOCK"}, {"id": "3", "a": 1}])
    policy = ColumnPolicy(("property_c*", "property_none"), ("property_mail", "property_n"), packing=PACKED["event"])
    spec = replace(helpers.EVENT, policy=policy)
    again = load(warehouse, [{"id": "4", "a": 1}], spec=spec)
    assert again.columns_with_old_values == ("property__overflow",)

    assert warehouse.rewrite([spec]) == {"event": ["property__overflow rewritten"]}
    first, *others = [json.loads(row["property__overflow"] or "{}") for row in rows(warehouse)]
    assert first == {"property_mail": digest("RAW"), "property_n": digest('["RAW"]'), "property_kept": 1.5}
    assert others == [{}, {}, {}]
    assert load(warehouse, [{"id": "5", "a": 1}], spec=spec).columns_with_old_values == ()

    everything = replace(spec, policy=replace(policy, hashed=("property_*",)))
    assert "property__overflow rewritten" in warehouse.rewrite([everything])["event"], "not hashed as one text"
    assert json.loads(rows(warehouse)[0]["property__overflow"])["property_kept"] == digest("1.5")
