"""Events, metrics, and numbers of events."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import COMPARISONS, CURSOR_ONLY, HAS, XL, XS, M, Page, S, date, number, text
from klaviyo_assets.sandbox.api.operations.declare import SUBSCRIPTIONS, operation, related, resource, triggers

EVENTS = {
    "metric_id": text("equals", "equals[]"),
    "profile_id": text("equals"),
    "profile": HAS,
    "metric": HAS,
    "datetime": date(),
    "timestamp": number(*COMPARISONS),
}

resource(
    "get_events", "get_event", "/events", "event", XL, "events:read", page=Page(200, 1000), filters=EVENTS,
    sorts="datetime timestamp", sort="-datetime", includes="attributions metric profile", single={"rate": M},
    fields="datetime event_properties timestamp uuid",
)  # fmt: skip
related(
    "get_metric_for_event", "get_metric_id_for_event", "/events/{id}/metric", "metric", XL,
    "events:read metrics:read",
)  # fmt: skip
related(
    "get_profile_for_event", "get_profile_id_for_event", "/events/{id}/profile", "profile", XL,
    "events:read profiles:read", additional=SUBSCRIPTIONS,
)  # fmt: skip
resource(
    "get_metrics", "get_metric", "/metrics", "metric", M, "metrics:read", page=CURSOR_ONLY,
    filters={"integration.name": text("equals"), "integration.category": text("equals")},
    includes="flow-triggers",
    fields="created integration name updated",
)  # fmt: skip
triggers("metric", M)
related(
    "get_properties_for_metric", "get_property_ids_for_metric", "/metrics/{id}/metric-properties", "metric-property",
    XS, "metrics:read", additional={"metric-property": ("sample_values",)},
)  # fmt: skip
operation(
    "get_metric_property", "/metric-properties/{id}", "metric-property", XS, "metrics:read", includes="metric",
    additional={"metric-property": ("sample_values",)},
    fields="inferred_type label property sample_values",
)  # fmt: skip
related(
    "get_metric_for_metric_property", "get_metric_id_for_metric_property", "/metric-properties/{id}/metric", "metric",
    XS, "metrics:read",
)  # fmt: skip
resource(
    "get_custom_metrics", "get_custom_metric", "/custom-metrics", "custom-metric", S, "metrics:read",
    includes="metrics", bare_links=True,
    fields="created definition name updated",
)  # fmt: skip
related(
    "get_metrics_for_custom_metric", "get_metric_ids_for_custom_metric", "/custom-metrics/{id}/metrics", "metric", S,
    "metrics:read",
)  # fmt: skip
resource(
    "get_mapped_metrics", "get_mapped_metric", "/mapped-metrics", "mapped-metric", S, "metrics:read",
    includes="custom-metric metric", bare_links=True,
    fields="updated",
)  # fmt: skip
related(
    "get_metric_for_mapped_metric", "get_metric_id_for_mapped_metric", "/mapped-metrics/{id}/metric", "metric", S,
    "metrics:read",
)  # fmt: skip
related(
    "get_custom_metric_for_mapped_metric", "get_custom_metric_id_for_mapped_metric",
    "/mapped-metrics/{id}/custom-metric", "custom-metric", S, "metrics:read",
)  # fmt: skip

operation(
    "query_metric_aggregates", "/metric-aggregates", "metric-aggregate", S, "metrics:read", method="POST",
    fields="data dates",
)  # fmt: skip
