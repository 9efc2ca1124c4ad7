"""EVENT."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, keyed


def event(account: Account) -> Expected:
    names = {m.id: m.attributes["name"] for m in account.all("metric")}
    campaign_of = {m.id: m.ids("campaign")[0] for m in account.all("campaign-message") if m.ids("campaign")}
    for c in account.all("campaign"):
        campaign_of |= dict.fromkeys(c.ids("campaign-messages"), c.id)
    now = account.clock.timestamp()
    rows = []
    for e in account.events:
        if e.visible_at > now:
            continue
        properties = dict(e.properties)
        flow, message = properties.pop("$flow", None) or None, properties.pop("$message", None) or None
        variation = properties.pop("$variation", None) or None
        moment = dt.datetime.fromtimestamp(e.occurred_at, dt.UTC).isoformat()
        attribution = properties.pop("$attribution", None)
        row = {
            "id": e.id,
            "uuid": e.uuid,
            "datetime": moment,
            "timestamp": moment,
            "metric_id": e.metric_id,
            "person_id": account.profile_of(e),
            "type": names.get(e.metric_id or ""),
            "flow_id": flow,
            "flow_message_id": message if flow else None,
            "campaign_id": None if flow or message is None else campaign_of.get(message, message),
            "_variation": variation,
            "property_": properties,
        }
        if e.attribution and e.attributed_at <= now:
            row["property_attribution"] = attributed(e.id, e.attribution)
        elif attribution is not None:
            row["property_attribution"] = attribution
        rows.append(row)
    return keyed(rows, "id")


def attributed(event_id: str, attribution: Mapping[str, str]) -> dict[str, Any]:
    types = {"attributed-event": "event", "flow-message-variation": "flow-message"}
    related = {"event": event_id, **attribution}
    return {
        "type": "attribution",
        "id": event_id,
        "relationships": {
            name: {"data": {"type": types.get(name, name), "id": id}} for name, id in related.items() if id
        },
    }
