"""What the destination must hold, read straight from the sandbox's objects and not through the project's mapping.

Every function gives key -> {column: the value as the API has it}. `differences` compares these with a table, forgiving
only what a column's type changes about a value: ISO text becomes a timestamp, objects become JSON text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse

Key = tuple[Any, ...]
Expected = dict[Key, dict[str, Any]]
SYSTEM = ("_fivetran_synced", "_fivetran_deleted")


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path; None where it ends early."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def pick(resource: Resource, paths: Mapping[str, str]) -> dict[str, Any]:
    return {"id": resource.id} | {column: dig(resource.attributes, path) for column, path in paths.items()}


def keyed(rows: Iterable[dict[str, Any]], *key: str) -> Expected:
    return {tuple(row[name] for name in key): row for row in rows}


# Tables

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


PERSON = {
    **{
        name: name
        for name in (
            "email", "phone_number", "external_id", "first_name", "last_name", "organization", "title", "image",
            "created", "updated", "last_event_date",
        )
    },
    "address_1": "location.address1",
    "address_2": "location.address2",
    **{name: f"location.{name}" for name in ("city", "country", "region", "zip", "timezone", "ip")},
    "latitude": "location.latitude",
    "longitude": "location.longitude",
    **{
        f"subscriptions_{channel}_marketing_{column}": f"subscriptions.{channel}.marketing.{name}"
        for channel, names in {
            "email": ("can_receive_email_marketing", "custom_method_detail", "double_optin"),
            "sms": ("can_receive_sms_marketing",),
        }.items()
        for column, name in {
            **{name: name for name in ("consent", "method", "method_detail", "last_updated", *names)},
            "timestamp": "consent_timestamp",
        }.items()
    },
}  # fmt: skip


def person(account: Account) -> Expected:
    return keyed(
        ({**pick(p, PERSON), "custom_": p.attributes.get("properties") or {}} for p in account.all("profile")), "id"
    )


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


def campaign_channel(account: Account, campaign: Resource) -> Any:
    messages = [
        account.get("campaign-message", id) for id in account.related("campaign", campaign.id, "campaign-messages")
    ]
    return next((dig(m.attributes, "definition.channel") for m in messages if m), None)


CAMPAIGN = {
    "name": "name",
    "status": "status",
    "status_label": "status",
    "archived": "archived",
    "created": "created_at",
    "updated": "updated_at",
    "scheduled": "scheduled_at",
    "send_time": "send_time",
    "send_option_use_smart_sending": "send_options.use_smart_sending",
    "send_strategy_method": "send_strategy.method",
    "send_strategy_options_is_local": "send_strategy.options.is_local",
    "tracking_options_add_tracking_params": "tracking_options.add_tracking_params",
    "tracking_options_is_tracking_clicks": "tracking_options.is_tracking_clicks",
    "tracking_options_is_tracking_opens": "tracking_options.is_tracking_opens",
}


def campaign(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        ids = account.related("campaign", c.id, "campaign-messages")
        first = account.get("campaign-message", ids[0]) if ids else None
        content = dig(first.attributes, "definition.content") if first else {}
        rows.append(
            {
                **pick(c, CAMPAIGN),
                "campaign_type": campaign_channel(account, c),
                "status_id": {"Sent": "1", "Draft": "2"}.get(c.attributes["status"]),
                "sent_at": c.attributes["send_time"] if c.attributes["status"] == "Sent" else None,
                "subject": dig(content, "subject"),
                "from_email": dig(content, "from_email"),
                "from_name": dig(content, "from_label"),
                "email_template_id": next(iter(first.ids("template")), None) if first else None,
            }
        )
    return keyed(rows, "id")


def campaign_list(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        for kind in ("included", "excluded"):
            for audience in dig(c.attributes, f"audiences.{kind}") or []:
                rows.append({"campaign_id": c.id, "list_id": audience, "list_included_or_excluded": kind})
    return keyed(rows, "campaign_id", "list_id")


def messages(account: Account) -> Iterator[tuple[Resource, str]]:
    for c in account.all("campaign"):
        for id in account.related("campaign", c.id, "campaign-messages"):
            message = account.get("campaign-message", id)
            assert message is not None
            yield message, c.id


def campaign_message(account: Account) -> Expected:
    content = ("bcc_email", "body", "cc_email", "from_email", "from_label", "media_url", "preview_text",
               "reply_to_email", "subject")  # fmt: skip
    options = ("add_info_link", "add_opt_out_language", "add_org_prefix", "shorten_links")
    paths = {
        "channel": "definition.channel",
        "label": "definition.label",
        "created": "created_at",
        "updated": "updated_at",
        **{f"content_{name}": f"definition.content.{name}" for name in content},
        **{f"render_options_{name}": f"definition.render_options.{name}" for name in options},
    }
    return keyed(
        (
            {**pick(m, paths), "campaign_id": campaign_id, "template_id": next(iter(m.ids("template")), None)}
            for m, campaign_id in messages(account)
        ),
        "id",
    )


def campaign_message_send_time(account: Account) -> Expected:
    rows = []
    for message, _ in messages(account):
        for time in message.attributes.get("send_times") or []:
            moment = dt.datetime.fromisoformat(time["datetime"]).astimezone(dt.UTC).replace(tzinfo=None)
            rows.append({"campaign_message_id": message.id, "datetime": moment, "is_local": time["is_local"]})
    return keyed(rows, "datetime", "campaign_message_id")


def campaign_tracking_utm_param(account: Account) -> Expected:
    rows = []
    for c in account.all("campaign"):
        for parameter in dig(c.attributes, "tracking_options.custom_tracking_params") or []:
            rows.append({"campaign_id": c.id, **{name: parameter.get(name) for name in ("name", "type", "value")}})
    return keyed(rows, "name", "campaign_id")


def campaign_tag(account: Account) -> Expected:
    rows = [
        {"campaign_id": c.id, "tag_id": tag}
        for c in account.all("campaign")
        for tag in account.related("campaign", c.id, "tags")
    ]
    return keyed(rows, "campaign_id", "tag_id")


TABLES: dict[str, Callable[[Account], Expected]] = {
    table.__name__: table
    for table in (
        event, person, metric, integration, campaign, campaign_list, campaign_message, campaign_message_send_time,
        campaign_tracking_utm_param, campaign_tag,
    )
}  # fmt: skip


# Comparison


def stored(warehouse: DuckDBWarehouse, table: str) -> list[dict[str, Any]]:
    """Every row of a destination table, deleted ones included."""
    return warehouse.read(table).to_pylist()


def live(warehouse: DuckDBWarehouse, table: str, key: Iterable[str]) -> Expected:
    names = tuple(key)
    rows = [row for row in stored(warehouse, table) if not row["_fivetran_deleted"]]
    found = keyed(rows, *names)
    assert len(found) == len(rows), f"{table} has a key twice"
    return found


def differences(account: Account, warehouse: DuckDBWarehouse, table: str, key: Iterable[str]) -> list[str]:
    """What is wrong with a destination table, in words; empty if it holds what the sandbox holds."""
    expected, found = TABLES[table](account), live(warehouse, table, key)
    wrong = [f"{table} lacks {k}" for k in expected.keys() - found.keys()]
    wrong += [f"{table} has {k}, which should be gone" for k in found.keys() - expected.keys()]
    for k in expected.keys() & found.keys():
        for column, value in expected[k].items():
            if column.endswith("_") and isinstance(value, dict):
                if problem := lost_properties(value, found[k], column):
                    wrong.append(f"{table} {k}: {problem}")
            elif not same(value, found[k][column]):
                wrong.append(f"{table} {k}: {column} is {found[k][column]!r}, should be {value!r}")
    return wrong


def same(value: Any, cell: Any) -> bool:
    """Whether a column holds a value of the API."""
    if value is None or value == "":
        return cell is None or cell == value
    if cell is None:
        return False
    if isinstance(cell, dt.datetime):
        moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
        return (moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment) == cell
    if isinstance(cell, str) and not isinstance(value, str):
        try:
            return bool(json.loads(cell) == value)
        except ValueError:
            return False
    if isinstance(cell, str) and isinstance(value, str) and cell != value:
        try:
            return dt.datetime.fromisoformat(cell) == dt.datetime.fromisoformat(value)
        except (ValueError, TypeError):
            return False
    if isinstance(cell, float) and isinstance(value, str):
        return float(value.replace(",", "")) == cell
    return bool(value == cell)


def lost_properties(properties: Mapping[str, Any], row: Mapping[str, Any], prefix: str) -> str | None:
    """Match every property with a column of its own; say which has none, or which column has no property."""
    cells = {name: cell for name, cell in row.items() if name.startswith(prefix) and cell is not None}
    cells.pop("property_attribution", None)
    for name, value in properties.items():
        if value is None or (name == "$value" and value == ""):
            continue
        column = next((c for c, cell in cells.items() if alike(name, c) and same(value, cell)), None)
        column = column or next((c for c, cell in cells.items() if same(value, cell)), None)
        if column is None:
            return f"property {name!r} = {value!r:.100} is in no column"
        del cells[column]
    empty = {name for name, cell in cells.items() if cell in ("",)}
    left = {name: cell for name, cell in cells.items() if name not in empty}
    if name := next(iter(left), None):
        return f"column {name} = {left[name]!r:.100} belongs to no property"
    return None


def alike(name: str, column: str) -> bool:
    letters = "".join(c for c in name.lower() if c.isalnum())
    return bool(letters) and letters in column.replace("_", "")
