"""A Klaviyo account in memory, and the stories that happen to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from klaviyo_assets.sandbox.account.attribution import Attribution
from klaviyo_assets.sandbox.account.clock import Clock
from klaviyo_assets.sandbox.account.events import Event, Events, event_uuid
from klaviyo_assets.sandbox.account.omnichannel import CANVAS
from klaviyo_assets.sandbox.account.relations import PARTS
from klaviyo_assets.sandbox.account.store import GROUPS, Resource, Store, format_datetime, target_of
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed

__all__ = ["GROUPS", "Account", "Attribution", "Clock", "Event", "Events", "Resource", "event_uuid", "format_datetime"]

COMPUTED = {"list": ("profile_count",), "segment": ("profile_count",), "profile": ("joined_group_at",)}
"""Attributes that the API computes: they are not stored."""


class Account(Store):
    """A Klaviyo account.

    `keys` maps private API keys to their scopes (None: all of them), `tokens` OAuth access tokens to their scopes and
    the time they expire; `advanced_kdp` is the plan that webhooks need. By `attribution` its reports count; without it
    they credit what the events say, and count every open and click. A `Sandbox` may serve the account meanwhile:
    change resources through these methods, not in place.
    """

    def __init__(self, clock: Clock | None = None, keys: dict[str, Collection[str] | None] | None = None) -> None:
        super().__init__(clock or Clock())
        self.keys: dict[str, frozenset[str] | None] = {
            key: None if scopes is None else frozenset(scopes) for key, scopes in (keys or {"pk_sandbox": None}).items()
        }
        self.tokens: dict[str, tuple[frozenset[str] | None, datetime]] = {}
        self.advanced_kdp = False
        self.attribution: Attribution | None = None
        self.add(Resource("account", "Xy9zAB", _account_attributes()))

    def delete(self, type: str, id: str) -> None:
        """Delete a resource with its parts (a campaign's messages, a list's membership, a profile's push tokens).

        The events of a deleted profile stay, without a profile. `KeyError` when there is no such resource.
        """
        with self.lock:
            type = self._stored(type, id)
            for name in PARTS.get(type, ()):
                for part in self.related(type, id, name):
                    self.delete(target_of(type, name), part)
            self.remove(type, id)
            if type == "profile":
                self.deleted_profiles.add(id)
                self._leave_all(id)

    def update(self, type: str, id: str, **attributes: Any) -> Resource:
        """Change attributes; `updated` (or `updated_at`) becomes the virtual now unless given.

        As with Klaviyo, a change of a flow's definition alone leaves its `updated` as it was, and so does a
        change of one of its actions or messages. What a campaign of the new builder has in its definition may be
        named without it.
        """
        with self.lock:
            type = self._stored(type, id)
            resource = self.resources[type][id]
            if type.startswith(CANVAS):
                definition = resource.attributes["definition"]
                inner = {name: attributes.pop(name) for name in definition.keys() & attributes.keys()}
                attributes.setdefault("definition", {**definition, **inner})
            resource.attributes.update(attributes)
            stamp = "updated_at" if "updated_at" in resource.attributes else "updated"
            silent = type == "flow" and attributes.keys() <= {"definition"}
            if stamp in resource.attributes and stamp not in attributes and not silent:
                resource.attributes[stamp] = format_datetime(self.clock.now(), type)
            self.versions[type] += 1
            return resource

    def rename(self, type: str, id: str, name: str) -> Resource:
        """Change the name."""
        return self.update(type, id, name=name)

    def archive(self, type: str, id: str) -> Resource:
        """Archive a campaign or a flow."""
        return self.update(type, id, archived=True)

    def unarchive(self, type: str, id: str) -> Resource:
        """Take a campaign or a flow out of the archive."""
        return self.update(type, id, archived=False)

    def join(self, group_id: str, profile_id: str, joined_at: datetime | None = None) -> None:
        """Make a profile a member of a list or segment, now by default; `KeyError` when either is unknown."""
        with self.lock:
            if profile_id not in self.resources.get("profile", {}):
                raise KeyError(f"no profile {profile_id!r}")
            self.memberships[group_id][profile_id] = joined_at or self.clock.now()
            self.versions[group_id] += 1

    def leave(self, group_id: str, profile_id: str) -> None:
        """End a membership; `KeyError` when there is none."""
        with self.lock:
            del self.memberships[group_id][profile_id]
            self.versions[group_id] += 1

    def merge_profiles(self, source: str, survivor: str) -> None:
        """Merge one profile into another, which takes over its events, memberships and push tokens."""
        with self.lock:
            if source == survivor:
                raise ValueError("a profile cannot be merged into itself")
            for profile_id in (source, survivor):
                if profile_id not in self.resources.get("profile", {}):
                    raise KeyError(f"no profile {profile_id!r}")
            for group, members in self.memberships.items():
                if source in members:
                    members.setdefault(survivor, members.pop(source))
                    self.versions[group] += 1
            for token in self.related("profile", source, "push-tokens"):
                self.relate("push-token", token, "profile", survivor)
            self.remove("profile", source)
            self.merged[source] = (survivor, self.clock.now())
            self.update("profile", survivor)

    def suppress(self, profile_id: str, reason: str = "USER_SUPPRESSED", *, list_id: str | None = None) -> None:
        """Suppress a profile from email marketing: everywhere, or from one list only."""
        with self.lock:
            now = format_datetime(self.clock.now(), microseconds=True)
            marketing = self._email_marketing(profile_id)
            if list_id is not None:
                others = [entry for entry in marketing["list_suppressions"] if entry["list_id"] != list_id]
                marketing["list_suppressions"] = [*others, {"list_id": list_id, "reason": reason, "timestamp": now}]
            else:
                marketing["suppression"] = [{"reason": reason, "timestamp": now}]
                marketing["can_receive_email_marketing"] = False
                if reason == "UNSUBSCRIBE":
                    marketing["consent"] = "UNSUBSCRIBED"
            marketing["last_updated"] = now
            self.update("profile", profile_id)

    def unsuppress(self, profile_id: str, *, list_id: str | None = None) -> None:
        """Lift the suppression of a profile: the global one, or that of one list."""
        with self.lock:
            marketing = self._email_marketing(profile_id)
            if list_id is not None:
                kept = [entry for entry in marketing["list_suppressions"] if entry["list_id"] != list_id]
                marketing["list_suppressions"] = kept
            else:
                marketing["suppression"] = []
                marketing["can_receive_email_marketing"] = True
            marketing["last_updated"] = format_datetime(self.clock.now(), microseconds=True)
            self.update("profile", profile_id)

    def add_tag(self, type: str, id: str, tag_id: str) -> None:
        """Tag a list, segment, campaign or flow."""
        with self.lock:
            if tag_id not in self.resources.get("tag", {}):
                raise KeyError(f"no tag {tag_id!r}")
            if tag_id not in self.related(type, id, "tags"):
                self.relate(type, id, "tags", [*self.resources[type][id].ids("tags"), tag_id])

    def remove_tag(self, type: str, id: str, tag_id: str) -> None:
        """Take a tag off; nothing happens when it is not there."""
        with self.lock:
            self.relate(type, id, "tags", [i for i in self.resources[type][id].ids("tags") if i != tag_id])
            tag, inverse = self.resources["tag"][tag_id], f"{type}s"
            if inverse in tag.relationships:
                self.relate("tag", tag_id, inverse, [i for i in tag.ids(inverse) if i != id])

    def load(self, document: dict[str, Any]) -> None:
        """Store the objects of a JSON:API document (`data` and `included`), or one resource object.

        An object that is there already keeps the attributes and relationships that the document lacks.
        """
        if "type" in document:
            objects: Iterable[dict[str, Any]] = [document]
        else:
            data = document.get("data") or []
            objects = [*(data if isinstance(data, list) else [data]), *document.get("included", [])]
        with self.lock:
            for each in objects:
                self._load_object(each["type"], each["id"], each)

    def _load_object(self, type: str, id: str, document: dict[str, Any]) -> None:
        linked = {
            name: value["data"]
            for name, value in (document.get("relationships") or {}).items()
            if isinstance(value, dict) and "data" in value
        }
        relationships = {
            name: None if data is None else data["id"] if isinstance(data, dict) else [item["id"] for item in data]
            for name, data in linked.items()
        }
        attributes = document.get("attributes") or {}
        if type == "attribution":
            event = self.events.get(id)
            if event is None:
                raise ValueError(f"attribution {id!r} comes without its event")
            event.attribution = {k: v for k, v in relationships.items() if k != "event" and isinstance(v, str)}
        elif type == "event":
            second = attributes.get("timestamp")
            if second is None:
                second = int(datetime.fromisoformat(attributes["datetime"]).timestamp())
            self.add_event(
                _one(relationships.get("metric")),
                second,
                profile_id=_one(relationships.get("profile")),
                properties=attributes.get("event_properties") or {},
                id=id,
                uuid=attributes.get("uuid"),
            )
        else:
            known = self.resources.get(type, {}).get(id) or Resource(type, id)
            shown = {k: v for k, v in attributes.items() if k not in COMPUTED.get(type, ())}
            self.add(Resource(type, id, {**known.attributes, **shown}, {**known.relationships, **relationships}))

    def _stored(self, type: str, id: str) -> str:
        """The type under which a resource is stored: another one for campaigns of the new builder."""
        return CANVAS + type if id in self.resources.get(CANVAS + type, {}) else type

    def _leave_all(self, profile_id: str) -> None:
        for group, members in self.memberships.items():
            if members.pop(profile_id, None) is not None:
                self.versions[group] += 1

    def _email_marketing(self, profile_id: str) -> dict[str, Any]:
        attributes = self.resources["profile"][profile_id].attributes
        marketing: dict[str, Any] = attributes.setdefault("subscriptions", never_subscribed())["email"]["marketing"]
        return marketing


def _one(value: str | list[str] | None) -> str | None:
    return value if isinstance(value, str) else None


def _account_attributes() -> dict[str, Any]:
    return {
        "test_account": True,
        "contact_information": {
            "default_sender_name": "Sandbox Tea",
            "default_sender_email": "hello@sandbox.example",
            "website_url": "https://sandbox.example",
            "organization_name": "Sandbox Tea",
            "street_address": {
                "address1": "1 Main Street",
                "address2": None,
                "city": "Boston",
                "region": "MA",
                "country": "United States",
                "zip": "02111",
            },
        },
        "industry": "Food & Drink",
        "timezone": "UTC",
        "preferred_currency": "USD",
        "public_api_key": "Xy9zAB",
        "locale": "en-US",
    }
