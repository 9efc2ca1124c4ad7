from __future__ import annotations

from klaviyo_assets.tables import metrics
from klaviyo_assets_tests.reference import recorded


def test_recorded_metrics():
    rows = metrics.rows(recorded("get_metrics.200"))
    assert [row["id"] for row in rows["metric"]] == [
        "RK9XjM",
        "SkDfHe",
        "UBpFqv",
        "VLZqfS",
        "WzaXsg",
        "XJBEv6",
        "Xw99E7",
    ]
    assert rows["metric"][3] == {
        "id": "VLZqfS",
        "created": "2026-04-07T01:34:26+00:00",
        "integration_category": "API",
        "integration_id": "7FtS4J",
        "integration_name": "API",
        "integration_object": "integration",
        "name": "Active on Site",
        "updated": "2026-04-07T01:34:26+00:00",
    }
    assert rows["integration"] == [{"id": "7FtS4J", "category": "API", "name": "API"}]
    assert metrics.names(recorded("get_metrics.200"))["SkDfHe"] == "SDK Smoke"


def metric(integration: object) -> dict[str, object]:
    return {"data": [{"type": "metric", "id": "m", "attributes": {"name": "Placed Order", "integration": integration}}]}


def test_integration_may_be_null_empty_or_have_an_object_as_category():
    for nothing in (None, {}, {"id": ""}):
        rows = metrics.rows(metric(nothing))
        assert rows["integration"] == []
        assert rows["metric"][0]["integration_id"] is None
    nested = {"id": "i", "object": "integration", "category": {"id": "c", "category": "eCommerce"}}
    assert metrics.rows(metric(nested))["integration"] == [{"id": "i", "category": "eCommerce", "name": None}]
    unknown = {"id": "i", "category": {"label": "Shop"}}
    assert metrics.rows(metric(unknown))["metric"][0]["integration_category"] == '{"label":"Shop"}'


def test_a_page_may_be_empty():
    assert metrics.rows({"data": []}) == {"metric": [], "integration": []}
