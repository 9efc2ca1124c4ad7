"""What the parts of the generator share: the account they fill, its time frame, random numbers and new ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from klaviyo_assets.sandbox.account import Account, Resource, format_datetime

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
URL = "https://acme.example"
SENDER = {"from_email": "hello@acme.example", "from_label": "Acme Tea"}


class Shop:
    """A shop in the making: `account` is filled for the period from `start` to `now`."""

    def __init__(self, account: Account, *, now: datetime, days: int, seed: int) -> None:
        self.account = account
        self.random = Random(seed)
        self.now = now
        self.start = now - timedelta(days=days)
        self._short_ids: set[str] = set()
        self._decimals = count(116_466_131)

    def add(self, type: str, id: str, attributes: dict[str, Any], **relationships: str | list[str] | None) -> Resource:
        """Store a resource; a relationship `campaign_messages` is Klaviyo's `campaign-messages`."""
        links = {name.replace("_", "-"): value for name, value in relationships.items()}
        return self.account.add(Resource(type, id, attributes, links))

    def short_id(self) -> str:
        """A new id such as `Y6nRLr`: of metrics, lists, segments, flows, templates, forms and old objects."""
        while True:
            id = self.random.choice("LQRSTUVWXY") + "".join(self.random.choices(BASE62, k=5))
            if id not in self._short_ids:
                self._short_ids.add(id)
                return id

    def ulid(self, moment: datetime) -> str:
        """A new ULID of a moment: of campaigns, messages, profiles and others."""
        number = int(moment.timestamp() * 1000) << 80 | self.random.getrandbits(80)
        return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))

    def uuid(self) -> str:
        """A new random UUID: of tags and tag groups."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def decimal(self) -> str:
        """A new decimal id: of flow actions, form versions and images."""
        return str(next(self._decimals))

    def moment(self, first: datetime, last: datetime) -> datetime:
        """A random moment between two."""
        return first + (last - first) * self.random.random()

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return self.random.random() < share

    def stamps(self, created: datetime, updated: datetime | None = None, type: str = "") -> dict[str, str]:
        """`created` and `updated` of a resource; updated at a random later moment unless given."""
        updated = updated or self.moment(created, self.now)
        return {"created": format_datetime(created, type), "updated": format_datetime(updated, type)}

    def stamps_at(self, created: datetime, type: str = "") -> dict[str, str]:
        """`created_at` and `updated_at` of a resource."""
        return {f"{name}_at": value for name, value in self.stamps(created, type=type).items()}


@dataclass(slots=True)
class Customer:
    """A profile as its events need it; `created` in unix seconds."""

    id: str
    created: int
    email: str | None
    phone_number: str | None


@dataclass(slots=True, kw_only=True)
class Message:
    """A message of a campaign or flow as its events need it.

    `properties` are those of all its events; `credit` holds the relationships of an attribution to it, without
    `attributed-event`; `sent_at` (unix seconds) is None for flows, whose messages follow their trigger.
    """

    channel: str
    properties: dict[str, Any]
    credit: dict[str, str] = field(default_factory=dict)
    sent_at: int | None = None


@dataclass(slots=True)
class Flow:
    """A live flow as its events need it: what starts it, and the messages it sends."""

    trigger: str
    messages: list[Message]
