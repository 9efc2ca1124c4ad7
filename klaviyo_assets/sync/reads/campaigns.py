"""Campaigns, and the templates of their messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from klaviyo_assets.api import REVISION, NotFound, all_of, equals
from klaviyo_assets.privacy.policy import is_digest
from klaviyo_assets.sync.reads.reading import BOTH_SIDES, Account
from klaviyo_assets.tables import campaigns as campaign_tables
from klaviyo_assets.tables.jsonapi import (
    Rows,
    attributes,
    included,
    instant_or_none,
    related_id,
    related_ids,
    resources,
)

CHANNELS = ("email", "sms", "mobile_push")
"""The channels that can be listed; there is no filter for WhatsApp."""


def campaigns(account: Account) -> Iterator[Rows]:
    """Read every campaign of every channel, archived ones by a query of their own."""
    templates = MessageTemplates(account)
    for channel in CHANNELS:
        for archived in BOTH_SIDES:
            pages = account.client.pages(
                "get_campaigns",
                "/campaigns",
                {
                    "filter": all_of(equals("messages.channel", channel), equals("archived", archived)),
                    "include": ["campaign-messages", "tags"],
                    "fields[tag]": "id",
                    "sort": "id",
                    "page[size]": 100,
                },
                revision=REVISION,
            )
            for page in pages:
                document = page.json()
                yield campaign_tables.rows(document, templates.of(document))


class MessageTemplates:
    """Finds the templates of campaign messages, which only a request for each campaign shows.

    The template of a message that is unchanged since the last sync, and whose campaign was sent, is taken from the
    warehouse.
    """

    def __init__(self, account: Account) -> None:
        self._client = account.client
        self._asked: dict[str, dict[str, str | None]] = {}
        self._known: dict[str, tuple[dt.datetime | None, str | None]] = {
            id: (updated, template)
            for id, updated, template in account.warehouse.rows("campaign_message", ("id", "updated", "template_id"))
        }

    def of(self, document: Mapping[str, Any]) -> dict[str, str | None]:
        """Return message id -> template id of the messages on a page of campaigns."""
        messages = included(document, "campaign-message")
        found: dict[str, str | None] = {}
        for campaign in resources(document):
            ids = related_ids(campaign, "campaign-messages")
            sent = attributes(campaign).get("status") == "Sent"
            if sent and all(id in messages and self._unchanged(id, messages[id]) for id in ids):
                found |= {id: self._known[id][1] for id in ids}
            else:
                found |= self._ask(campaign["id"])
        return found

    def _unchanged(self, id: str, message: Mapping[str, Any]) -> bool:
        updated = instant_or_none(attributes(message).get("updated_at"))
        known = self._known.get(id, (None, None))[0]
        if not isinstance(known, dt.datetime) or is_digest(self._known[id][1]):
            return False  # new, or one of the columns is hashed
        return updated == known.replace(tzinfo=dt.UTC)

    def _ask(self, campaign: str) -> dict[str, str | None]:
        if campaign not in self._asked:
            try:
                page = self._client.get(
                    "get_messages_for_campaign",
                    f"/campaigns/{campaign}/campaign-messages",
                    {"include": "template", "fields[template]": "id"},
                    many=True,
                    revision=REVISION,
                )
            except NotFound:
                return {}  # deleted since the page was read
            self._asked[campaign] = {
                message["id"]: related_id(message, "template") for message in resources(page.json())
            }
        return self._asked[campaign]
