"""Resource objects as Klaviyo writes them, in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from klaviyo_assets.sandbox.account import Event, Resource, format_datetime
from klaviyo_assets.sandbox.account.relations import RELATIONS
from klaviyo_assets.sandbox.account.store import Store
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed, no_predictions
from klaviyo_assets.sandbox.api.operations import ADDED, OMNICHANNEL, ON_REQUEST, OPERATIONS
from klaviyo_assets.sandbox.api.order import Row
from klaviyo_assets.sandbox.api.query import Query

COLLECTIONS: dict[str, str] = {
    op.type: op.segments[0] for op in (*OPERATIONS.values(), *OMNICHANNEL.values()) if op.by_id
}
"""The first path segment under which a type's resources are found."""

INLINED: dict[str, tuple[str, ...]] = {
    "event": ("profile", "metric"),
    "campaign": ("campaign-messages",),
    "campaign-message": ("campaign", "campaign-audience"),
    "campaign-audience": ("campaign",),
    "campaign-variation": ("campaign-message",),
    "flow-action": ("flow",),
    "flow-message": ("flow-action", "template"),
    "form": ("form-versions",),
    "form-version": ("form",),
    "coupon-code": ("coupon",),
    "push-token": ("profile",),
    "review": ("item",),
}
"""Relationships whose ids are shown even where they are not included."""

UNSHOWN = {
    ("metric", "metric-properties"),
    ("catalog-item", "categories"),
    ("coupon", "coupon-codes"),
    ("campaign-message", "tags"),
}
"""Relationships that have routes but do not appear in the resource."""

encode = msgspec.json.encode


class Serializer:
    """Writes the objects of one response: `root` is the URL of the API, `query` decides what is shown."""

    def __init__(self, account: Store, root: str, query: Query) -> None:
        self.account = account
        self.root = root
        self.query = query
        self.now = account.clock.timestamp()
        self._root = encode(root)[1:-1]

    def row(self, row: Row) -> bytes:
        """The resource object of a row of the primary data."""
        return self.resource(row.resource, primary=True, joined_at=row.joined_at)

    def resource(self, resource: Resource, *, primary: bool, joined_at: datetime | None = None) -> bytes:
        """A resource object; only primary data shows the ids of included relationships."""
        document: dict[str, Any] = {
            "type": resource.type,
            "id": resource.id,
            "attributes": self._attributes(resource, joined_at),
        }
        relationships = self._relationships(resource, primary=primary)
        if relationships:
            document["relationships"] = relationships
        document["links"] = {"self": f"{self.root}/{COLLECTIONS.get(resource.type, resource.type)}/{resource.id}/"}
        return encode(document)

    def event(self, event: Event, *, primary: bool = True) -> bytes:
        """An event; its attribution is referred to if included and visible by now."""
        id = encode(event.id)[1:-1]
        self_link = b"%s/events/%s" % (self._root, id)
        relationships = []
        profile_id = self.account.profile_of(event)
        if profile_id is not None:
            relationships.append(_event_relation(b"profile", encode(profile_id), self_link))
        relationships.append(_event_relation(b"metric", encode(event.metric_id), self_link))
        if primary and "attributions" in self.query.includes and self.attributed(event):
            relationships.append(b'"attributions":{"data":[{"type":"attribution","id":"%s"}]}' % id)
        return b'{"type":"event","id":"%s","attributes":{%s},"relationships":{%s},"links":{"self":"%s/"}}' % (
            id,
            self._event_attributes(event),
            b",".join(relationships),
            self_link,
        )

    def attributed(self, event: Event) -> bool:
        """Whether the event has an attribution that the API shows by now."""
        return event.attribution is not None and event.attributed_at <= self.now

    def attribution(self, event: Event) -> bytes:
        """The attribution resource of an event that has one."""
        relationships: dict[str, Any] = {"event": {"data": {"type": "event", "id": event.id}}}
        for name, id in (event.attribution or {}).items():
            relationships[name] = {"data": {"type": RELATIONS["attribution"][name].target, "id": id}}
        return encode({"type": "attribution", "id": event.id, "attributes": {}, "relationships": relationships})

    def included(self, rows: Iterable[Row | Event]) -> list[bytes]:
        """The objects that the primary data's included relationships refer to, each once, in order of appearance."""
        found: dict[tuple[str, str], bytes] = {}
        for row in rows:
            for name in self.query.includes:
                if isinstance(row, Event) and name == "attributions":
                    if self.attributed(row):
                        found["attribution", row.id] = self.attribution(row)
                    continue
                for type, id in self._targets(row, name):
                    if (type, id) in found:
                        continue
                    if type == "event":
                        event = self.account.events.get(id)
                        if event is not None and event.visible_at <= self.now:
                            found[type, id] = self.event(event, primary=False)
                    elif (resource := self.account.get(type, id)) is not None:
                        found[type, id] = self.resource(resource, primary=False)
        return list(found.values())

    def _targets(self, row: Row | Event, name: str) -> list[tuple[str, str]]:
        if isinstance(row, Event):
            id = self.account.profile_of(row) if name == "profile" else row.metric_id
            return [(name, id)] if id is not None else []
        resource = row.resource
        target = RELATIONS[resource.type][name].target
        return [(target, id) for id in self.account.related(resource.type, resource.id, name)]

    def _attributes(self, resource: Resource, joined_at: datetime | None) -> dict[str, Any]:
        type, shown = resource.type, self.query.shown(resource.type)
        hidden = [name for name in ON_REQUEST.get(type, ()) if name not in shown]
        hidden += [name for name in ADDED.get(type, ()) if not self.query.knows(type, name)]
        attributes = {name: value for name, value in resource.attributes.items() if name not in hidden}
        if "subscriptions" in shown:
            attributes.setdefault("subscriptions", never_subscribed())
        if "predictive_analytics" in shown:
            attributes.setdefault("predictive_analytics", no_predictions())
        if "profile_count" in shown:
            attributes["profile_count"] = len(self.account.memberships[resource.id])
        if joined_at is not None:
            attributes["joined_group_at"] = format_datetime(joined_at)
        fields = self.query.fields.get(type)
        if fields is None:
            return attributes
        return _pick(attributes, fields | self.query.additional.get(type, frozenset()))

    def _relationships(self, resource: Resource, *, primary: bool) -> dict[str, Any]:
        type, id = resource.type, resource.id
        path = f"{self.root}/{COLLECTIONS.get(type, type)}/{id}"
        found: dict[str, Any] = {}
        for name, relation in RELATIONS.get(type, {}).items():
            if (type, name) in UNSHOWN or not relation.since <= self.query.operation.since < relation.until:
                continue
            value: dict[str, Any] = {}
            if name in INLINED.get(type, ()) or (primary and name in self.query.includes):
                ids = self.account.related(type, id, name)
                references = [{"type": relation.target, "id": each} for each in ids]
                value["data"] = references if relation.many else (references[0] if references else None)
            label = name
            if type == "profile" and name == "conversations" and self.query.operation.segments[0] != "profiles":
                label = "conversation"
            value["links"] = {"self": f"{path}/relationships/{label}/", "related": f"{path}/{label}/"}
            found[label] = value
        return found

    def _event_attributes(self, event: Event) -> bytes:
        fields = self.query.fields.get("event")
        parts = []
        if fields is None or "timestamp" in fields:
            parts.append(b'"timestamp":%d' % event.occurred_at)
        if fields is None or "event_properties" in fields:
            parts.append(b'"event_properties":%s' % event.properties_json)
        if fields is None or "datetime" in fields:
            moment = datetime.fromtimestamp(event.occurred_at, UTC).isoformat().encode()
            parts.append(b'"datetime":"%s"' % moment)
        if fields is None or "uuid" in fields:
            parts.append(b'"uuid":"%s"' % event.uuid.encode())
        return b",".join(parts)


def _event_relation(name: bytes, id: bytes, path: bytes) -> bytes:
    data = id if id == b"null" else b'{"type":"%s","id":%s}' % (name, id)
    return b'"%s":{"data":%s,"links":{"self":"%s/relationships/%s/","related":"%s/%s/"}}' % (
        name,
        data,
        path,
        name,
        path,
        name,
    )


def _pick(attributes: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The attributes that are named, in their own order; `a.b` picks from inside an object."""
    whole = {field for field in fields if "." not in field}
    inner: dict[str, set[str]] = {}
    for field in fields:
        head, dot, rest = field.partition(".")
        if dot and head not in whole:
            inner.setdefault(head, set()).add(rest)
    picked = {}
    for name, value in attributes.items():
        if name in whole:
            picked[name] = value
        elif name in inner:
            picked[name] = _pick(value, inner[name]) if isinstance(value, dict) else value
    return picked
