"""The families whose rows are little more than the attributes of a resource."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets.schema.lost import noting
from klaviyo_assets.tables import (
    accounts,
    catalogs,
    coupons,
    exclusions,
    extras,
    flows,
    forms,
    lists,
    metrics,
    profiles,
    reports,
    segments,
    tags,
    templates,
)
from klaviyo_assets.tables.jsonapi import Rows
from klaviyo_assets.tables.registry import TABLES, table
from klaviyo_assets_tests.reference import recorded

NOW = dt.datetime(2026, 9, 4, 14, tzinfo=dt.UTC)

MAPPINGS: dict[str, Callable[[dict[str, Any]], Rows]] = {
    "accounts": lambda document: accounts.rows(document, NOW),
    "catalog_categories": catalogs.categories,
    "catalog_items": catalogs.rows,
    "coupon_codes": coupons.codes,
    "coupons": coupons.rows,
    "custom_metrics": metrics.custom,
    "flow_messages": flows.messages,
    "form_versions": forms.versions,
    "forms": forms.rows,
    "images": extras.images,
    "list_members": lambda document: lists.members(document, "l"),
    "lists": lists.rows,
    "mapped_metrics": metrics.mapped,
    "push_tokens": extras.push_tokens,
    "reviews": extras.reviews,
    "segment_members": lambda document: segments.members(document, "s"),
    "segments": segments.rows,
    "tag_groups": tags.groups,
    "tags": tags.rows,
    "templates": templates.rows,
    "universal_content": templates.universal_content,
    "web_feeds": extras.web_feeds,
    "webhooks": extras.webhooks,
    "billing_usage": extras.billing_usage,
    "brand_resources": lambda document: extras.brand_resources(document, "logo"),
    "text_messaging_senders": extras.text_messaging_senders,
    "translations": extras.translations,
}


@pytest.mark.parametrize("family", MAPPINGS)
def test_a_bare_resource_gives_a_row_with_every_declared_column(family):
    bare = {"id": "x", "attributes": {"unknown": 1}}
    document = {"data": [bare, {**bare, "relationships": None}, {**bare, "id": ""}], "included": None}
    with noting() as lost:
        rows = MAPPINGS[family](document)
    assert not lost
    assert set(rows) == {entry.name for entry in TABLES if entry.family.name == family}
    first = next(iter(rows))
    assert [set(row) for row in rows[first]] == [set(table(first).types)]
    assert all(found == [] for found in MAPPINGS[family]({"data": None}).values())


def test_every_family_is_tested_somewhere():
    elsewhere = {"events", "profiles", "metrics", "campaigns", "flows", "campaign_reports", "flow_reports"}
    assert {entry.family.name for entry in TABLES} == set(MAPPINGS) | elsewhere


def test_tables_of_one_family_are_due_together():
    for entry in TABLES:
        assert {other.cadence for other in TABLES if other.family == entry.family} == {entry.cadence}


EXPECTED: list[tuple[str, str, str, list[dict[str, Any]]]] = [
    (
        "get_accounts.200",
        "accounts",
        "account_history",
        [
            {
                "id": "WBhXHN",
                "observed_at": NOW,
                "contact_information_default_sender_email": "customer@example.com",
                "contact_information_default_sender_name": "Example Org",
                "contact_information_organization_name": "Example Org",
                "contact_information_street_address_address_1": "1 Main Street",
                "contact_information_street_address_address_2": "Floor 2",
                "contact_information_street_address_city": "Copenhagen",
                "contact_information_street_address_country": "Denmark",
                "contact_information_street_address_region": None,
                "contact_information_street_address_zip": "2300",
                "contact_information_website_url": "http://www.example.com",
                "industry": "Software / SaaS",
                "locale": "en-US",
                "preferred_currency": "DKK",
                "public_api_key": "REDACTED",
                "test_account": True,
                "timezone": "Europe/Copenhagen",
            }
        ],
    ),
    (
        "get_lists.200",
        "lists",
        "list",
        [
            {
                "id": "TjmPN9",
                "created": "2026-09-04T13:39:29+00:00",
                "list_name": "sdk-smoke-09047c86-list2",
                "updated": "2026-09-04T13:39:29+00:00",
            },
            {
                "id": "YafG4m",
                "created": "2026-09-04T13:39:28+00:00",
                "list_name": "sdk-smoke-09047c86-list",
                "updated": "2026-09-04T13:39:28+00:00",
            },
        ],
    ),
    (
        "get_profiles_for_list.200",
        "list_members",
        "list_person",
        [
            {
                "list_id": "l",
                "person_id": "01M1PAAR5HBCRHA3NN9NG5WRTA",
                "joined_group_at": "2026-09-04T13:39:38+00:00",
            }
        ],
    ),
    (
        "get_profile_ids_for_segment.200",
        "segment_members",
        "segment_person",
        [{"person_id": "01M1PA9DFJNNYT82A7K2AEG8QT", "segment_id": "s"}],
    ),
    (
        "get_templates.200",
        "templates",
        "email_template",
        [
            {
                "id": "SpfvU7",
                "created": "2026-09-04T13:39:05+00:00",
                "editor_type": None,
                "html": None,
                "name": "sdk-smoke-0904a5e6-tpl-code",
                "text": None,
                "updated": None,
                "screenshot_url": None,
            }
        ],
    ),
    (
        "get_tag_groups.200",
        "tag_groups",
        "tag_group",
        [
            {
                "id": "e30baa69-f382-4eef-8ff6-222d5c3d9a8a",
                "default": True,
                "exclusive": False,
                "name": "Ungrouped Tags",
            }
        ],
    ),
    (
        "get_coupons.200",
        "coupons",
        "coupon",
        [
            {
                "id": "sdk_smoke_09048f53_coupon1",
                "description": None,
                "external_id": "sdk_smoke_09048f53_coupon1",
                "assigner_configuration": None,
            }
        ],
    ),
    (
        "get_forms.200",
        "forms",
        "form",
        [
            {
                "id": "UNtbZL",
                "ab_test": False,
                "created_at": "2026-09-04T13:40:14+00:00",
                "name": "sdk-smoke-0904f206-form-popup",
                "status": "draft",
                "updated_at": "2026-09-04T13:40:14+00:00",
            }
        ],
    ),
    (
        "get_versions_for_form.200",
        "form_versions",
        "form_version",
        [
            {
                "id": "28242214",
                "form_id": "UNtbZL",
                "ab_test_variation_name": None,
                "created_at": "2026-09-04T13:40:14+00:00",
                "form_type": "popup",
                "status": "draft",
                "updated_at": "2026-09-04T13:40:14+00:00",
            }
        ],
    ),
    (
        "get_images.200",
        "images",
        "image",
        [
            {
                "id": "366547886",
                "format": None,
                "hidden": True,
                "image_url": None,
                "name": "sdk-smoke-0904a5e6-img-remote",
                "size": None,
                "updated_at": None,
            }
        ],
    ),
]


@pytest.mark.parametrize(("recording", "family", "name", "expected"), EXPECTED, ids=lambda value: str(value)[:24])
def test_recorded_rows(recording, family, name, expected):
    assert MAPPINGS[family](recorded(recording))[name] == expected


def test_a_form_version_that_names_no_form_belongs_to_the_form_that_was_asked():
    assert (
        forms.versions({"data": [{"id": "v", "attributes": {"status": "live"}}]}, "f")["form_version"][0]["form_id"]
        == "f"
    )


def test_recorded_segments():
    rows = segments.rows(recorded("get_segments.200"))["segment"]
    assert [row["id"] for row in rows] == ["SAx2Kq", "RvKscW"]
    assert rows[0] == {
        "id": "SAx2Kq",
        "created": "2026-09-04T13:38:52+00:00",
        "definition": {
            "condition_groups": [
                {
                    "conditions": [
                        {
                            "type": "profile-property",
                            "property": "properties['sdk_smoke_run']",
                            "filter": {"type": "string", "operator": "equals", "value": "0904b052"},
                        }
                    ]
                }
            ]
        },
        "name": "sdk-smoke-0904b052-segment2",
        "updated": "2026-09-04T13:38:52+00:00",
    }


def test_recorded_tags():
    rows = tags.rows(recorded("get_tags.200"))["tags"]
    assert len(rows) == 5
    assert rows[2] == {
        "id": "d2cdecf0-1682-4358-a76f-a99703569137",
        "tag_group_id": "c8aa0a0d-bad4-457f-b709-cf62fdeb9b09",
        "name": "sdk-smoke-0904b975-t-excl-b",
    }


def test_recorded_coupon_codes():
    rows = coupons.codes(recorded("get_coupon_codes.200"))["coupon_code"]
    assert rows[0] == {
        "id": "sdk_smoke_09048f53_coupon1-sdk_smoke_09048f53_code1",
        "coupon_id": "sdk_smoke_09048f53_coupon1",
        "person_id": None,
        "expires_at": "2026-10-04T13:39:37+00:00",
        "status": "UNASSIGNED",
        "unique_code": "sdk_smoke_09048f53_code1",
    }


def test_recorded_catalog():
    rows = catalogs.rows(recorded("get_catalog_items.200"))
    prefix = "$custom:::$default:::sdk-smoke-090444b5-"
    assert rows["catalog_item"][0] == {
        "id": f"{prefix}item1",
        "created": "2026-09-04T13:38:45.437000+00:00",
        "custom_metadata": {"colour": "blue", "smokeRun": "090444b5", "weightKg": 1.25},
        "description": "First smoke item.",
        "external_id": "sdk-smoke-090444b5-item1",
        "image_full_url": "https://example.com/img/sdk-smoke-090444b5-item1-full.jpg",
        "image_thumbnail_url": "https://example.com/img/sdk-smoke-090444b5-item1-thumb.jpg",
        "images": [
            "https://example.com/img/sdk-smoke-090444b5-item1-1.jpg",
            "https://example.com/img/sdk-smoke-090444b5-item1-2.jpg",
        ],
        "price": 19.99,
        "published": True,
        "title": "SDK Smoke Item One 090444b5",
        "updated": "2026-09-04T13:38:45.437000+00:00",
        "url": "https://example.com/products/sdk-smoke-090444b5-item1",
    }
    assert {row["id"]: (row["item_id"], row["sku"]) for row in rows["catalog_variant"]} == {
        f"{prefix}item1-v1": (f"{prefix}item1", "SKU-090444B5-ITEM1-V1"),
        f"{prefix}item1-v2": (f"{prefix}item1", "SKU-090444B5-ITEM1-V2"),
        f"{prefix}item2-v1": (f"{prefix}item2", "SKU-090444B5-ITEM2-V1"),
        f"{prefix}item2-v2": (f"{prefix}item2", "SKU-090444B5-ITEM2-V2"),
    }


@pytest.mark.parametrize("family", ["list", "segment"])
def test_tags_of_lists_and_segments(family):
    tagged = {
        "id": "x",
        "relationships": {"tags": {"data": [{"type": "tag", "id": "t1"}, {"type": "tag", "id": "t2"}]}},
    }
    assert MAPPINGS[f"{family}s"]({"data": [tagged, {"id": "y"}]})[f"{family}_tag"] == [
        {f"{family}_id": "x", "tag_id": "t1"},
        {f"{family}_id": "x", "tag_id": "t2"},
    ]


def exclusions_of(document: dict[str, Any]) -> Rows:
    return exclusions.rows(profiles.read(json.dumps(document).encode()))


def test_recorded_exclusion():
    assert exclusions_of(recorded("get_profiles_for_list.200")) == {
        "global_exclusion": [
            {
                "person_id": "01M1PAAR5HBCRHA3NN9NG5WRTA",
                "reason": "USER_SUPPRESSED",
                "timestamp": "2026-09-04T13:39:33.601782+00:00",
            }
        ],
        "list_exclusion": [],
    }


def test_the_latest_exclusion_counts_whatever_its_format_and_place():
    marketing = {
        "suppression": [
            {"reason": "UNSUBSCRIBE", "timestamp": "2026-01-01 20:00:00-05:00"},
            {"reason": "HARD_BOUNCE", "timestamp": "2026-01-02T00:00:00Z"},
            {"reason": "INVALID_EMAIL", "timestamp": None},
        ],
        "list_suppressions": [
            {"list_id": "a", "reason": "old", "timestamp": "2025-01-01T00:00:00Z"},
            {"list_id": "a", "reason": "new", "timestamp": "2026-01-01T00:00:00Z"},
            {"list_id": "b", "reason": "only", "timestamp": None},
        ],
    }
    found = [
        {"id": "p", "attributes": {"subscriptions": {"email": {"marketing": marketing}}}},
        {"id": "q", "attributes": {"subscriptions": {"email": {"marketing": {"suppression": None}}}}},
        {"id": "r", "attributes": {"subscriptions": None}},
    ]
    assert exclusions_of({"data": found}) == {
        "global_exclusion": [{"person_id": "p", "reason": "UNSUBSCRIBE", "timestamp": "2026-01-01 20:00:00-05:00"}],
        "list_exclusion": [
            {"id": "p", "list_id": "a", "created": "2026-01-01T00:00:00Z", "reason": "new"},
            {"id": "p", "list_id": "b", "created": None, "reason": "only"},
        ],
    }


def test_nested_attributes_of_the_optional_tables():
    review = {
        "id": "r",
        "attributes": {
            "status": {"value": "rejected", "rejection_reason": {"reason": "profanity"}},
            "product": {"name": "Mug", "external_id": "M1"},
            "public_reply": {"author": "Ann", "updated": "2026-01-01T00:00:00Z"},
            "rating": 5,
        },
        "relationships": {"item": {"data": {"type": "catalog-item", "id": "i"}}},
    }
    (row,) = extras.reviews({"data": [review]})["review"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": "r",
        "item_id": "i",
        "product_external_id": "M1",
        "product_name": "Mug",
        "public_reply_author": "Ann",
        "public_reply_updated": "2026-01-01T00:00:00Z",
        "rating": 5,
        "status": "rejected",
        "status_rejection_reason": {"reason": "profanity"},
    }
    token = {
        "id": "t",
        "attributes": {"metadata": {"device_id": "d", "klaviyo_sdk": "android"}, "vendor": "FCM"},
        "relationships": {"profile": {"data": {"type": "profile", "id": "p"}}},
    }
    (row,) = extras.push_tokens({"data": [token]})["push_token"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": "t",
        "person_id": "p",
        "metadata_device_id": "d",
        "metadata_klaviyo_sdk": "android",
        "vendor": "FCM",
    }
    topics = {"webhook-topics": {"data": [{"type": "webhook-topic", "id": "event:klaviyo.sent_sms"}]}}
    (row,) = extras.webhooks({"data": [{"id": "w", "attributes": {"name": "w"}, "relationships": topics}]})["webhook"]
    assert row["topics"] == ["event:klaviyo.sent_sms"]
    mapped = {"metric": {"data": {"type": "metric", "id": "m"}}, "custom-metric": {"data": None}}
    revenue = {"id": "revenue", "attributes": {"updated": None}, "relationships": mapped}
    (row,) = metrics.mapped({"data": [revenue]})["mapped_metric"]
    assert (row["metric_id"], row["custom_metric_id"]) == ("m", None)
    definition = {"aggregation_method": "value", "metric_groups": [{"metric_id": "m"}]}
    (row,) = metrics.custom({"data": [{"id": "c", "attributes": {"definition": definition}}]})["custom_metric"]
    assert (row["aggregation_method"], row["metric_groups"]) == ("value", [{"metric_id": "m"}])


def report(groupings: dict[str, str], statistics: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    results = [{"groupings": groupings, "statistics": statistics}]
    return {"data": {"type": "report", "id": "r", "attributes": {"results": results, **attributes}}}


def test_campaign_report():
    groupings = {"campaign_id": "c", "campaign_message_id": "m", "send_channel": "email"}
    (row,) = reports.campaigns(report(groupings, {"opens": 410.0, "a_new_one": 1}), "VtZ2aK")["campaign_report"]
    assert set(row) == set(table("campaign_report").types)
    assert {name: value for name, value in row.items() if value is not None} == {
        **groupings,
        "conversion_metric_id": "VtZ2aK",
        "opens": 410.0,
    }
    assert reports.campaigns(recorded("query_campaign_values.200")) == {"campaign_report": []}


def test_flow_report_has_a_row_for_each_day():
    groupings = {"flow_id": "f", "flow_message_id": "m", "send_channel": "sms"}
    days = ["2026-08-01T00:00:00+00:00", "2026-08-02T00:00:00+00:00"]
    rows = reports.flows(report(groupings, {"clicks": [1.0, 2.0]}, date_times=days))["flow_report"]
    assert [set(row) for row in rows] == [set(table("flow_report").types)] * 2
    assert [(row["date"], row["flow_id"], row["clicks"], row["opens"]) for row in rows] == [
        ("2026-08-01", "f", 1.0, None),
        ("2026-08-02", "f", 2.0, None),
    ]
    for clicks in ([1.0], "NaN", {}):
        with noting() as lost:
            rows = reports.flows(report(groupings, {"clicks": clicks, "opens": [3, 4]}, date_times=days))["flow_report"]
        assert [(row["clicks"], row["opens"]) for row in rows] == [(None, 3), (None, 4)]
        assert str(lost) == "statistics.clicks (1 value; id f)"
    assert reports.flows(recorded("query_flow_values.200")) == {"flow_report": []}
