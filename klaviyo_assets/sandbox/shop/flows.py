"""Flows of the simulated account, with their actions and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from klaviyo_assets.sandbox.shop.shop import SENDER, URL, Flow, Message, Shop

CHANNELS = {"send-email": "Email", "send-sms": "SMS", "send-mobile-push": "MobilePush", "send-whatsapp": "WhatsApp",
            "send-webhook": "Webhook", "send-internal-alert": "InternalAlert"}  # fmt: skip
EVENT_CHANNELS = {"send-email": "email", "send-sms": "sms", "send-mobile-push": "mobile_push"}


class Plan(NamedTuple):
    """A flow in short: its trigger is the name of a list, of a segment or of a metric; actions follow one another."""

    name: str
    trigger_type: str
    trigger: str | None
    actions: str
    status: str = "live"
    archived: bool = False


PLANS = (
    Plan(
        "Welcome series", "Added to List", "Newsletter", "send-email time-delay send-email conditional-split send-sms"
    ),
    Plan("Abandoned checkout", "Metric", "Checkout Started", "time-delay send-email time-delay send-sms trigger-split"),
    Plan("Thank you", "Metric", "Placed Order", "ab-test update-profile send-internal-alert"),
    Plan("Browse abandonment", "Metric", "Viewed Product", "time-delay send-mobile-push send-email"),
    Plan("Order shipped", "Metric", "Fulfilled Order", "send-email send-webhook list-update"),
    Plan("Text message welcome", "Added to List", "Text Messages", "send-sms time-delay send-whatsapp"),
    Plan("Winback", "Added to Segment", "Lapsed customers", "send-email content-experiment action-output-split"),
    Plan("Birthday", "Date Based", None, "target-date send-email", "manual"),
    Plan("Back in stock", "Metric", "Added to Cart", "back-in-stock-delay send-email code", "draft"),
    Plan("Price drop", "Price Drop", None, "send-email", "draft"),
    Plan("Low inventory", "Low Inventory", None, "countdown-delay send-mobile-push internal-service", "draft"),
    Plan("Unfinished", "Unconfigured", None, "", "draft"),
    Plan("Welcome series (old)", "Added to List", "Newsletter", "send-email unsupported", "manual", True),
    Plan("Christmas 2021", "Metric", "Placed Order", "multi-branch-split send-email", "draft", True),
)


def add_flows(
    shop: Shop,
    metrics: Mapping[str, str | None],
    groups: Mapping[str, str],
    tags: Sequence[str],
    templates: Sequence[str],
) -> list[Flow]:
    """Add flows; returns the live ones that send something. `groups` holds ids of lists and segments by name."""
    flows: list[Flow] = []
    triggered: dict[str, list[str]] = {}
    for number, plan in enumerate(PLANS):
        id = shop.short_id()
        created = shop.start - timedelta(days=300 - 10 * number)
        trigger_id = groups.get(plan.trigger or "") or metrics.get(plan.trigger or "")
        if trigger_id:
            triggered.setdefault(trigger_id, []).append(id)
        builder = _Actions(shop, id, plan, created, templates, trigger_id)
        actions = builder.build()
        trigger = {"Added to List": "list", "Added to Segment": "segment", "Metric": "metric"}.get(plan.trigger_type)
        attributes = {
            "name": plan.name,
            "status": plan.status,
            "archived": plan.archived,
            **shop.stamps(created),
            "trigger_type": plan.trigger_type if plan.trigger_type != "Added to Segment" else None,
            "definition": {
                "triggers": [{"type": trigger, "id": trigger_id}] if trigger else [],
                "profile_filter": None,
                "actions": actions,
                "entry_action_id": actions[0]["id"] if actions else None,
            },
        }
        shop.add("flow", id, attributes, tags=list(tags[number % 6 : number % 6 + number % 3]))
        builder.store()
        if plan.status == "live" and builder.messages:
            flows.append(Flow(plan.trigger or "", builder.messages))
    for type in ("list", "segment", "metric"):
        for resource in shop.account.all(type):
            shop.account.relate(type, resource.id, "flow-triggers", triggered.get(resource.id, []))
    return flows


class _Actions:
    """The actions of one flow: `build` returns their definitions, `store` adds them to the account."""

    def __init__(
        self, shop: Shop, flow: str, plan: Plan, created: datetime, templates: Sequence[str], trigger: str | None
    ) -> None:
        self.shop = shop
        self.flow = flow
        self.plan = plan
        self.stamps = shop.stamps(created)
        self.created = created
        self.templates = templates
        self.trigger = trigger
        self.messages: list[Message] = []
        self.definitions: list[dict[str, Any]] = []
        self.stored: list[tuple[str, str, dict[str, Any], str]] = []

    def build(self) -> list[dict[str, Any]]:
        kinds = self.plan.actions.split()
        ids = [self.shop.decimal() for _ in kinds]
        for number, (id, kind) in enumerate(zip(ids, kinds, strict=True)):
            following = ids[number + 1] if number + 1 < len(ids) else None
            action: dict[str, Any] = {"id": id, "type": kind}
            data = self._data(id, kind, number)
            if data is not None:
                action["data"] = data
            if kind == "multi-branch-split":
                action["links"] = None
            elif kind.endswith("split"):
                action["links"] = {"next_if_true": following, "next_if_false": None}
            else:
                action["links"] = {"next": following}
            self.definitions.append(action)
        return [action for action in self.definitions if action["type"] != "unsupported"]

    def store(self) -> None:
        for action in self.definitions:
            shown = None if action["type"] == "unsupported" else action
            self.shop.add("flow-action", action["id"], {"definition": shown, **self.stamps}, flow=self.flow)
        for id, action_id, definition, channel in self.stored:
            attributes = {"channel": channel, "definition": definition, **self.stamps}
            template = definition.get("template_id")
            self.shop.add("flow-message", id, attributes, flow_action=action_id, template=template, image=None)

    def _data(self, id: str, kind: str, number: int) -> dict[str, Any] | None:
        if kind in CHANNELS:
            return self._send(id, kind, number)
        if kind == "time-delay":
            return {"unit": "hours", "value": 2 + number, "secondary_value": 0, "timezone": "profile"}
        if kind == "conditional-split":
            return {"profile_filter": _group({"type": "profile-sample", "percentage": 50})}
        if kind == "trigger-split":
            above = {"type": "numeric", "operator": "greater-than", "value": 50}
            condition = {"type": "metric-property", "metric_id": self.trigger, "field": "$value", "filter": above}
            return {"trigger_filter": _group(condition), "trigger_id": self.trigger, "trigger_type": "metric"}
        if kind == "action-output-split":
            accepted = {"type": "boolean", "operator": "equals", "value": True}
            output = {"type": "action-output", "output_config_id": 7, "field": "accepted", "filter": accepted}
            return {"action_output_filter": _group(output)}
        if kind in ("ab-test", "content-experiment"):
            return self._experiment(id, kind, number)
        others: dict[str, dict[str, Any]] = {
            "update-profile": {
                "profile_operations": [
                    {"operator": "update", "property_type": "string", "property_key": "tier", "property_value": "gold"}
                ],
                "status": self.plan.status,
            },
            "target-date": {"timezone": "profile"},
            "countdown-delay": {"unit": "days", "value": 3, "timezone": "profile"},
            "list-update": {"name": "Add to VIP", "on_execution": True, "list_id": None, "status": self.plan.status},
            "internal-service": {
                "service_configuration": {"service_method_type": "unknown"},
                "status": self.plan.status,
            },
            "multi-branch-split": {"branches": [], "name": "Split by country"},
        }
        return others.get(kind)

    def _send(self, action: str, kind: str, number: int, variation: str | None = None) -> dict[str, Any]:
        """The data of a send action; its message is kept to be stored, and to be sent if the flow is live.

        `variation` is the id of the message that an experiment varies.
        """
        id, name = self.shop.short_id(), f"{self.plan.name} #{number + 1}{' B' if variation else ''}"
        message = self._definition(kind, id, name, self.templates[number % len(self.templates)])
        self.stored.append((id, action, message, CHANNELS[kind]))
        if kind in EVENT_CHANNELS and self.plan.status == "live":
            main = variation or id
            properties = {"$flow": self.flow, "$message": main, "$variation": id, "Campaign Name": name}
            if kind == "send-email":
                properties["Subject"] = message["subject_line"]
            credit = {"flow": self.flow, "flow-message": main}
            if variation:
                credit["flow-message-variation"] = id
            self.messages.append(Message(channel=EVENT_CHANNELS[kind], properties=properties, credit=credit))
        return {"message": message, "status": self.plan.status}

    def _experiment(self, action: str, kind: str, number: int) -> dict[str, Any]:
        sends = "send-email" if kind == "ab-test" else "send-mobile-push"
        main = {"id": self.shop.decimal(), "type": sends, "links": {"next": None}}
        main["data"] = data = self._send(action, sends, number)
        other = {"id": self.shop.decimal(), "type": sends, "links": {"next": None}}
        other["data"] = self._send(action, sends, number, data["message"]["id"])
        experiment = {
            "id": self.shop.ulid(self.created),
            "name": f"Subject test {number}",
            "variations": [main, other],
            "allocations": {main["id"]: 0.5, other["id"]: 0.5},
            "started": self.stamps["created"],
            "winner_metric": "unique-opens" if kind == "ab-test" else "open-rate",
        }
        return {
            "status": self.plan.status,
            "experiment_status": "live",
            "main_action": main,
            "current_experiment": experiment,
        }

    def _definition(self, kind: str, id: str, name: str, template: str) -> dict[str, Any]:
        named = {"name": name, "id": id}
        flags = {"smart_sending_enabled": True, "transactional": "Order" in name}
        params = [{"param": "utm_source", "value": "klaviyo"}, {"param": "utm_campaign", "value": "{{ flow.name }}"}]
        tracking = {"add_tracking_params": True, "custom_tracking_params": params if "Welcome" in name else None}
        if kind == "send-email":
            return {
                **SENDER, "reply_to_email": None, "cc_email": None, "bcc_email": None,
                "subject_line": f"{self.plan.name}: a cup for you", "preview_text": "", "template_id": template,
                **flags, **tracking, "additional_filters": None, **named,
            }  # fmt: skip
        if kind == "send-sms":
            return {
                "body": f"{self.plan.name} {URL}", "image_id": None, "dynamic_image": None, "shorten_links": True,
                "include_contact_card": False, "add_org_prefix": True, "add_info_link": True,
                "add_opt_out_language": False, **flags, "sms_quiet_hours_enabled": True, **tracking,
                "additional_filters": None, **named,
            }  # fmt: skip
        if kind == "send-mobile-push":
            return {
                "title": self.plan.name, "body": "Your tea is waiting", "sound": True, "badge": False,
                "on_open": "home", "push_type": "standard", "smart_sending_enabled": True,
                "additional_filters": None, **named,
            }  # fmt: skip
        if kind == "send-whatsapp":
            return {**named, "vendor_id": "wa-1", **flags, "add_tracking_params": False, "additional_filters": None}
        if kind == "send-webhook":
            return {"url": f"{URL}/hooks/shipped", "headers": {"X-Shop": "tea"}, "body": "{}", **named}
        alert = {**SENDER, "to_emails": ["team@acme.example"], "subject_line": "A big order"}
        return {**alert, "template_id": template, **named}


def _group(condition: dict[str, Any]) -> dict[str, Any]:
    return {"condition_groups": [{"conditions": [condition]}]}
