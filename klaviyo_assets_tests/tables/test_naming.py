from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.tables.naming import column_name, column_names, with_hash
from klaviyo_assets_tests.tables.shared import patient

# Every name was seen in a real destination that Fivetran filled; the key is what Klaviyo calls the property.
SEEN = [
    ("property_", "$value", "property_value"),
    ("property_", "$ESP", "property_esp"),
    ("property_", "$event_id", "property_event_id"),
    ("property_", "$extra", "property_extra"),
    ("property_", "$attribution", "property_attribution"),
    ("property_", "$_cohort$message_send_cohort", "property_cohort_message_send_cohort"),
    ("property_", "$_cohort$variation_send_cohort", "property_cohort_variation_send_cohort"),
    ("property_", "$message_interaction", "property_message_interaction"),
    ("property_", "$session_end", "property_session_end"),
    ("property_", "$is_session_activity", "property_is_session_activity"),
    ("property_", "$group_ids", "property_group_ids"),
    ("property_", "$experiment", "property_experiment"),
    ("property_", "Sender's Name", "property_sender_s_name"),
    ("property_", "Items", "property_items"),
    ("property_", "Item Count", "property_item_count"),
    ("property_", "Subject", "property_subject"),
    ("property_", "Campaign Name", "property_campaign_name"),
    ("property_", "Email Domain", "property_email_domain"),
    ("property_", "Client OS Family", "property_client_os_family"),
    ("property_", "machine_open", "property_machine_open"),
    ("property_", "Bounce Type", "property_bounce_type"),
    ("property_", "URL", "property_url"),
    ("property_", "Attribute_KITID", "property_attribute_kitid"),
    ("custom_", "Accepts Marketing", "custom_accepts_marketing"),
    ("custom_", "Shopify Tags", "custom_shopify_tags"),
    ("custom_", "$consent_form_id", "custom_consent_form_id"),
    ("custom_", "$consent_timestamp", "custom_consent_timestamp"),
    ("custom_", "$source", "custom_source"),
    ("custom_", "MailChimp Rating", "custom_mail_chimp_rating"),
    ("custom_", "Q1", "custom_q_1"),
    ("custom_", "First Purchase Date ", "custom_first_purchase_date_"),
    ("", "$variation", "_variation"),
    ("", "address1", "address_1"),
]


@pytest.mark.parametrize(("prefix", "key", "column"), SEEN)
def test_names_of_real_destinations(prefix, key, column):
    assert column_name(key, prefix) == column


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("20th", "_20_th"),
        ("HTMLText", "htmltext"),
        ("a.b-c", "a_b_c"),
        ("x_ 1", "x_1"),
        ("Größe", "grosse"),
        ("Prénom", "prenom"),
        ("Żółć", "zolc"),
        ("Чай", "chai"),
        ("", "_"),
        ("!!!", "_"),
        ('"); drop table event; --', "_drop_table_event_"),
        ("\u0000\n", "_"),
    ],
)
def test_names_by_the_rules(key, column):
    assert column_name(key) == column


def test_scripts_without_latin_letters_still_tell_keys_apart():
    assert column_name("商品", "property_") != column_name("价格", "property_")
    assert column_name("😀", "property_") not in ("property_", column_name("🎁", "property_"))


def test_long_names_are_cut_and_stay_apart():
    one, other = column_name("a" * 300, "property_"), column_name("a" * 299 + "b", "property_")
    assert len(one) == len(other) == 255
    assert one != other
    assert one.startswith("property_aaa")


@patient
@given(st.text(max_size=400), st.sampled_from(["", "property_", "custom_"]))
def test_a_name_is_always_a_plain_identifier_and_stays_what_it_is(key, prefix):
    name = column_name(key, prefix)
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    assert "__" not in name
    assert len(name) <= 255
    assert name == column_name.__wrapped__(key, prefix)
    if len(name) < 255:
        assert column_name(name) == name


NASTY = st.sampled_from(["value", "Value", "VALUE", "$value", "$ value", "vålue", "value ", "a1", "A 1", "$", "", "_"])


@patient
@given(st.lists(NASTY | st.text(max_size=8), unique=True, max_size=12), st.randoms())
def test_no_two_keys_of_a_row_share_a_column_whatever_their_order(keys, random):
    names = column_names(tuple(keys), "property_")
    assert set(names) == set(keys)
    assert len(set(names.values())) == len(keys)
    random.shuffle(keys)
    assert column_names(tuple(keys), "property_") == names


def test_the_dollar_key_keeps_the_plain_name_then_the_first_in_order():
    assert column_names(("Value", "$value"), "property_") == {
        "$value": "property_value",
        "Value": "property_value_8e37953d",
    }
    assert column_names(("value", "Value"), "property_") == {
        "Value": "property_value",
        "value": "property_value_cd42404d",
    }


def test_the_dollar_sign_counts_before_the_order():
    assert column_names((" value", "$value"), "property_")["$value"] == "property_value"


def test_a_longer_hash_where_the_short_one_is_taken():
    short = with_hash("property_value", "Value")
    longer = with_hash("property_value", "Value", {short})
    assert longer.startswith(short)
    assert len(longer) == len(short) + 1


def test_a_key_that_looks_like_a_displaced_one_is_not_overwritten():
    displaced = "Value_" + "a" * 8
    names = column_names(("$value", "Value", displaced), "property_")
    assert len(set(names.values())) == 3
