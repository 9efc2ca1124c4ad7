"""What a Klaviyo account holds: resources, the relations between them, memberships and events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

from klaviyo_assets.sandbox.account.clock import Clock
from klaviyo_assets.sandbox.account.events import Event, Events, event_uuid
from klaviyo_assets.sandbox.account.relations import Relation, relation

GROUPS = ("list", "segment")
MERGED_ID_RESOLVES_FOR = timedelta(hours=1)
_MICROSECONDS = {
    "campaign",
    "campaign-message",
    "canvas-campaign",
    "canvas-message",
    "catalog-item",
    "catalog-variant",
    "catalog-category",
}
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Resource:
    """Any stored object except an event.

    `attributes` holds every attribute that the API can show, in the API's own form (datetimes as text); what
    one request gets of them is decided when it is answered. Computed ones (`profile_count`,
    `joined_group_at`) are not stored. `relationships` maps a relationship name to an id, ids or None. Each
    relation is stored on one side only, whichever is convenient: the other is derived (`Account.related`).
    """

    type: str
    id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    relationships: dict[str, str | list[str] | None] = field(default_factory=dict)

    def ids(self, name: str) -> list[str]:
        """The ids stored under a relationship name; empty when there is none."""
        value = self.relationships.get(name)
        return [] if value is None else [value] if isinstance(value, str) else value


class Store:
    """The contents of an account, with no behaviour of Klaviyo's but the relations between them.

    `versions` counts the changes of a type, and of the membership of a list or segment id: sorted views are kept by
    it. Every public method may be called from any thread: `lock` is held meanwhile.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = RLock()
        self.resources: dict[str, dict[str, Resource]] = {}
        self.events = Events()
        self.memberships: dict[str, dict[str, datetime]] = {}
        self.versions: Counter[str] = Counter()
        self.merged: dict[str, tuple[str, datetime]] = {}
        self.deleted_profiles: set[str] = set()
        self._incoming: dict[tuple[str, str], dict[tuple[str, str, str], None]] = {}
        self._event_number = 0

    # Objects

    def add(self, resource: Resource) -> Resource:
        """Store a resource, in the place of one with the same type and id; an account has one resource `account`."""
        with self.lock:
            if resource.type == "account":
                self.resources.pop("account", None)
            if self.get(resource.type, resource.id):
                self._unlink(resource)
            if resource.type == "profile":
                self.deleted_profiles.discard(resource.id)
                self.merged.pop(resource.id, None)
            self.resources.setdefault(resource.type, {})[resource.id] = resource
            if resource.type in GROUPS:
                self.memberships.setdefault(resource.id, {})
            for name in resource.relationships:
                self._link(resource, name)
            self.versions[resource.type] += 1
            return resource

    def get(self, type: str, id: str) -> Resource | None:
        """The resource, or None. The id of a merged profile leads to the surviving profile for an hour."""
        resource = self.resources.get(type, {}).get(id)
        if resource is None and type == "profile" and id in self.merged:
            survivor, merged_at = self.merged[id]
            return self.get("profile", survivor) if self.clock.now() - merged_at < MERGED_ID_RESOLVES_FOR else None
        return resource

    def all(self, type: str) -> list[Resource]:
        """Every resource of a type, in the order of addition."""
        return list(self.resources.get(type, {}).values())

    def remove(self, type: str, id: str) -> Resource:
        """Take one resource away, and every reference to it; `KeyError` when there is none."""
        with self.lock:
            resource = self.resources[type].pop(id)
            self._unlink(resource)
            for source_type, source_id, name in self._incoming.pop((type, id), {}):
                source = self.resources[source_type][source_id]
                value = source.relationships[name]
                source.relationships[name] = [i for i in value if i != id] if isinstance(value, list) else None
            if type in GROUPS:
                del self.memberships[id]
                self.versions[id] += 1
            self.versions[type] += 1
            return resource

    def related(self, type: str, id: str, name: str) -> list[str]:
        """Ids under a relationship of a resource, whichever side the relation is stored on, each once."""
        resource = self.resources.get(type, {}).get(id)
        if name == "profiles" and type in GROUPS:
            return list(self.memberships.get(id, ()))
        if type == "profile" and name in ("lists", "segments"):
            groups = self.resources.get(name[:-1], {})
            return [group for group in groups if id in self.memberships[group]]
        found = dict.fromkeys(resource.ids(name)) if resource else {}
        for source_type, source_id, source_name in self._incoming.get((type, id), ()):
            relation_ = relation(source_type, source_name)
            if relation_ and relation_.inverse == name and source_type == target_of(type, name):
                found[source_id] = None
        return list(found)

    def is_clone(self, template_id: str) -> bool:
        """Whether a template is the copy that a campaign's message owns: Klaviyo's collection leaves those out."""
        owners = ("campaign-message", "canvas-variation")
        return any(name[0] in owners for name in self._incoming.get(("template", template_id), ()))

    def relate(self, type: str, id: str, name: str, to: str | list[str] | None) -> None:
        """Set a relationship of a resource; `KeyError` when the resource or the name is unknown."""
        with self.lock:
            resource = self.resources[type][id]
            if relation(type, name) is None:
                raise KeyError(f"a {type} has no relationship {name!r}")
            self._unlink(resource, name)
            resource.relationships[name] = to
            self._link(resource, name)
            self.versions[type] += 1

    # Events

    def add_event(
        self,
        metric_id: str | None,
        occurred_at: int | datetime,
        *,
        profile_id: str | None = None,
        properties: dict[str, Any] | bytes = b"{}",
        attribution: dict[str, str] | None = None,
        id: str | None = None,
        uuid: str | None = None,
        visible_at: float | datetime = 0.0,
        attributed_at: float | datetime = 0.0,
    ) -> Event:
        """Store an event, in the place of one with the same id.

        Times are aware datetimes or unix seconds; properties may be JSON text, which keeps numbers exact.
        """
        with self.lock:
            self._event_number += 1
            second = int(_seconds(occurred_at))
            event = Event(
                id or _event_id(self._event_number),
                uuid or event_uuid(second, self._event_number),
                second,
                metric_id,
                profile_id,
                properties,
                attribution,
                _seconds(visible_at),
                _seconds(attributed_at),
            )
            self.events.add(event)
            return event

    def remove_event(self, id: str) -> Event:
        """Remove and return an event; `KeyError` when there is none."""
        with self.lock:
            return self.events.remove(id)

    def profile_of(self, event: Event) -> str | None:
        """The profile that an event shows: its own, the survivor of a merge, or None once that is deleted."""
        profile_id = event.profile_id
        while profile_id in self.merged:
            profile_id = self.merged[profile_id][0]
        return None if profile_id in self.deleted_profiles else profile_id

    def _link(self, resource: Resource, name: str) -> None:
        target = target_of(resource.type, name)
        for target_id in resource.ids(name):
            incoming = self._incoming.setdefault((target, target_id), {})
            incoming[resource.type, resource.id, name] = None

    def _unlink(self, resource: Resource, name: str | None = None) -> None:
        stored = self.resources.get(resource.type, {}).get(resource.id, resource)
        for each in stored.relationships if name is None else [name]:
            for target_id in stored.ids(each):
                incoming = self._incoming.get((target_of(stored.type, each), target_id), {})
                incoming.pop((stored.type, stored.id, each), None)


def format_datetime(moment: datetime, type: str = "", *, microseconds: bool = False) -> str:
    """A datetime as Klaviyo writes it for resources of a type: whole seconds, or microseconds for a few types; UTC."""
    precision = "microseconds" if microseconds or type in _MICROSECONDS else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision)


def target_of(type: str, name: str) -> str:
    """The type that a relationship leads to; `KeyError` when the type has none of this name."""
    found: Relation | None = relation(type, name)
    if found is None:
        raise KeyError(f"a {type} has no relationship {name!r}")
    return found.target


def _seconds(moment: float | datetime) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else moment


def _event_id(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return "7sBx" + digits.rjust(7, "0")
