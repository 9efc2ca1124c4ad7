"""Campaigns as revision 2026-07-15 of the API shows them, and the templates of their messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from klaviyo_assets.api import REVISION, InvalidRequest, KlaviyoError, NotFound, NotPermitted, all_of, equals
from klaviyo_assets.privacy.policy import is_digest
from klaviyo_assets.schema.lost import remark
from klaviyo_assets.sync.reads.reading import BOTH_SIDES, Account, keep, stored_rows
from klaviyo_assets.tables import campaigns as campaign_tables
from klaviyo_assets.tables import earlier_campaigns as mapping
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


def campaigns(account: Account, refusal: KlaviyoError) -> Iterator[Rows]:
    """Read every campaign that revision 2026-07-15 shows, archived ones by a query of their own.

    refusal: of the later revision, raised if this one is refused too. What only the later one shows stays as it is
    stored: if there may be any of it, nothing is flagged as deleted.
    """
    client, warehouse = account.client, account.warehouse
    templates = MessageTemplates(account)
    kept = {table: stored_rows(warehouse, table, columns) for table, columns in campaign_tables.LATER.items()}
    labels = stored_rows(warehouse, "campaign_message", ("label",))  # this revision has those of emails alone
    told = False
    for channel in CHANNELS:
        for archived in BOTH_SIDES:
            pages = client.pages(
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
            try:
                first = next(pages)
            except (InvalidRequest, NotPermitted):
                if told:
                    raise
                raise refusal from None
            if not told:
                told = True
                _tell(refusal, partial=_may_have_later(account, kept))
            for page in chain([first], pages):
                document = page.json()
                rows = mapping.rows(document, templates.of(document))
                for table, stored in kept.items():
                    keep(rows[table], stored)
                keep((row for row in rows["campaign_message"] if row["label"] is None), labels)
                yield rows


def _may_have_later(account: Account, kept: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether there may be rows of the later revision. Not every table or column need be there."""
    rows = account.warehouse.rows
    given = any(any(some.values()) for some in kept.values())
    if given or any(rows(table, ("id",)) for table in ("campaign_audience", "campaign_variation")):
        return True
    # Both columns have a value in every row of the later revision: if neither is stored, nobody knows.
    known = rows("campaign", ("id", "builder")) or rows("campaign_message", ("id", "status"))
    return not known and any(rows(table.name, table.primary_key) for table in campaign_tables.TABLES)


def _tell(refusal: KlaviyoError, *, partial: bool) -> None:
    sentence = (
        f"Campaigns were read in revision {REVISION} of the API, which does not show those of the new builder, because "
        f"Klaviyo refuses the later one for this key: {refusal}"
    )
    if partial:
        sentence += " As there may be rows of the later one, no campaign is flagged as deleted meanwhile."
    remark(sentence, partial=partial)


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
