"""METRIC and INTEGRATION from `GET /metrics`; custom and mapped metrics from lists of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.schema.values import json_text
from klaviyo_assets.tables.jsonapi import (
    Row,
    Rows,
    attributes,
    described,
    identifier,
    inside,
    latest,
    related_id,
    row_of,
)
from klaviyo_assets.tables.table import DAILY, Family, Table, json, references, text, timestamp

METRIC = Table(
    name="metric",
    family=Family("metrics", ("metrics:read",)),
    description="The kinds of events of the account: Received Email, Placed Order and so on.",
    columns=(
        text("id", "The metric's id."),
        timestamp("created", "When the metric came into being: with the first event of its kind."),
        text("integration_category", "What kind of system sends the events, eCommerce for example."),
        text("integration_id", "The integration that sends the events."),
        text("integration_name", "Name of that integration: Shopify, Klaviyo, API."),
        text("integration_object", "What the API calls an integration; the word integration."),
        text("name", "Name of the metric. Klaviyo may rename its own metrics, so join on the id."),
        timestamp("updated", "When the metric last changed."),
    ),
    primary_key=("id",),
)

INTEGRATION = Table(
    name="integration",
    family=METRIC.family,
    description="The integrations that the account's metrics come from.",
    columns=(
        text("id", "The integration's id."),
        text("category", "What kind of system it is, eCommerce for example."),
        text("name", "Name of the integration: Shopify, Klaviyo, API."),
    ),
    primary_key=("id",),
)

CUSTOM_METRIC = Table(
    name="custom_metric",
    family=Family("custom_metrics", ("metrics:read",)),
    cadence=DAILY,
    optional=True,
    description="Metrics that the account has put together from others.",
    columns=(
        text("id", "The custom metric's id."),
        text("aggregation_method", "count, or value for one that adds up revenue."),
        timestamp("created", "When it was created."),
        json("metric_groups", "The metrics that it is made of, with their filters."),
        text("name", "Its name."),
        timestamp("updated", "When it last changed."),
    ),
    primary_key=("id",),
)

MAPPED_METRIC = Table(
    name="mapped_metric",
    family=Family("mapped_metrics", ("metrics:read",)),
    cadence=DAILY,
    optional=True,
    description="Which metric the account uses for revenue, started checkouts and so on.",
    columns=(
        text("id", "What the metric is used for: revenue, ordered_product, started_checkout and others."),
        text("custom_metric_id", "The custom metric, if it is one."),
        text("metric_id", "The metric, if it is not a custom one."),
        timestamp("updated", "When the choice last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(custom_metric_id="custom_metric", metric_id="metric"),
)

TABLES = (METRIC, INTEGRATION, CUSTOM_METRIC, MAPPED_METRIC)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of METRIC and INTEGRATION on a page of metrics."""
    metrics: list[Row] = []
    integrations: list[Row] = []
    for metric in described(document):
        a = attributes(metric)
        integration = inside(metric, "integration")
        category = _category(integration.get("category"))
        metrics.append(
            {
                "id": metric.get("id"),
                "created": a.get("created"),
                "integration_category": category,
                "integration_id": identifier(integration.get("id")),
                "integration_name": integration.get("name"),
                "integration_object": integration.get("object"),
                "name": a.get("name"),
                "updated": a.get("updated"),
            }
        )
        integrations.append({"id": integration.get("id"), "category": category, "name": integration.get("name")})
    return {"metric": latest(metrics, "id"), "integration": latest(integrations, "id")}


def names(document: Mapping[str, Any]) -> dict[str, str]:
    """Return metric id -> metric name, which EVENT.type needs."""
    return {row["id"]: row["name"] for row in rows(document)["metric"] if row["name"] is not None}


def custom(document: Mapping[str, Any]) -> Rows:
    """Return the rows of CUSTOM_METRIC on a page of custom metrics."""
    paths = {"aggregation_method": "definition.aggregation_method", "metric_groups": "definition.metric_groups"}
    found = (row_of(metric, CUSTOM_METRIC.types, paths) for metric in described(document))
    return {"custom_metric": latest(found, "id")}


def mapped(document: Mapping[str, Any]) -> Rows:
    """Return the rows of MAPPED_METRIC on a page of mapped metrics with `include=metric,custom-metric`."""
    found = (
        row_of(metric, MAPPED_METRIC.types)
        | {"custom_metric_id": related_id(metric, "custom-metric"), "metric_id": related_id(metric, "metric")}
        for metric in described(document)
    )
    return {"mapped_metric": latest(found, "id")}


def _category(value: Any) -> Any:
    """Some accounts get the category as an object with a `category` member of its own."""
    if not isinstance(value, dict):
        return value
    inner = value.get("category")
    return inner if isinstance(inner, str) else json_text(value)
