"""METRIC and INTEGRATION; optional: CUSTOM_METRIC and MAPPED_METRIC."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets_tests.expected.rows import Expected, dig, keyed, pick, resources

METRIC = {
    "name": "name",
    "created": "created",
    "updated": "updated",
    "integration_id": "integration.id",
    "integration_name": "integration.name",
    "integration_object": "integration.object",
}


def category(metric: Resource) -> Any:
    given = dig(metric.attributes, "integration.category")
    return given["category"] if isinstance(given, dict) else given


def metric(account: Account) -> Expected:
    return keyed(
        ({**pick(m, METRIC), "integration_category": category(m)} for m in account.all("metric")),
        "id",
    )


def integration(account: Account) -> Expected:
    found = {}
    for m in account.all("metric"):
        if given := m.attributes.get("integration"):
            found[(given["id"],)] = {"id": given["id"], "name": given["name"], "category": category(m)}
    return found


CUSTOM_METRIC = {
    "name": "name",
    "created": "created",
    "updated": "updated",
    "aggregation_method": "definition.aggregation_method",
    "metric_groups": "definition.metric_groups",
}


def custom_metric(account: Account) -> Expected:
    return resources(account, "custom-metric", CUSTOM_METRIC)


def mapped_metric(account: Account) -> Expected:
    relations = {"metric_id": "metric", "custom_metric_id": "custom-metric"}
    return resources(account, "mapped-metric", {"updated": "updated"}, **relations)
