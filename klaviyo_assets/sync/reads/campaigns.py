"""Campaigns, their audiences, messages and variations: 100 campaigns and 100 messages a request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from klaviyo_assets.api import InvalidRequest, KlaviyoClient, NotFound, NotPermitted
from klaviyo_assets.schema.spec import DELETED
from klaviyo_assets.sync.reads import earlier_campaigns
from klaviyo_assets.sync.reads.reading import Account, Document, WarehouseReader, both_sides, keep, stored_rows
from klaviyo_assets.tables import campaigns as campaign_tables
from klaviyo_assets.tables.jsonapi import Row, Rows, included, inside, named, related_id, resources

_VARIATIONS = "campaign-variations"


def campaigns(account: Account) -> Iterator[Rows]:
    """Read every campaign of every channel, archived ones by a query of their own.

    A key for which Klaviyo refuses the revision of the API that has them reads what the earlier one shows.
    """
    client, warehouse = account.client, account.warehouse
    pages = _pages_of_messages(client)
    try:
        first = next(pages)
    except (InvalidRequest, NotPermitted) as refusal:
        yield from earlier_campaigns.campaigns(account, refusal)
        return
    kept = stored_rows(warehouse, "campaign_message", campaign_tables.KEPT["campaign_message"])
    stored = stored_rows(warehouse, "campaign", campaign_tables.STORED)
    params = _stored_params(warehouse)
    known = campaign_tables.Messages()
    yield _rows(known, first, kept)
    for page in pages:
        yield _rows(known, page, kept)
    for page in both_sides(
        client,
        "get_campaigns",
        "/campaigns",
        "archived",
        include=["campaign-audiences", "campaign-messages", "tags"],
        sort="id",
        page_size=100,
        **{"fields[campaign-message]": "id", "fields[tag]": "id"},
    ):
        for campaign in resources(page):
            for id in named({"data": campaign}, "campaign-messages"):
                if id not in known.by_id:  # made since the messages were read, or left out of their list
                    yield from _one(client, known, id, campaign["id"], kept)
                elif row := known.adopt(id, campaign["id"]):
                    yield {"campaign_message": [row]}
        yield campaign_tables.rows(page, known, stored, params)


def _rows(
    known: campaign_tables.Messages, page: Document, kept: Mapping[str, Row], campaign: str | None = None
) -> Rows:
    messages = campaign_tables.messages(page, campaign)
    known.add(messages)
    rows = campaign_tables.message_rows(messages.values())
    keep(rows["campaign_message"], kept)
    return rows


def _pages_of_messages(client: KlaviyoClient) -> Iterator[Document]:
    """Yield pages of all messages with their variations, by a request for each message if Klaviyo includes none."""
    query: dict[str, Any] = {"fields[campaign]": "id", "sort": "id", "page[size]": 100}
    with_variations = {**query, "include": ["campaign", _VARIATIONS]}
    pages = client.pages("get_campaign_messages", "/campaign-messages", with_variations)
    try:
        first = next(pages)
    except InvalidRequest as refusal:
        if not _is_about_include(refusal):
            raise
    else:
        for page in chain([first], pages):
            document = page.json()
            yield _asked(client, document, _unsaid(document))
        return
    for page in client.pages("get_campaign_messages", "/campaign-messages", {**query, "include": ["campaign"]}):
        document = page.json()
        yield _asked(client, document, {message["id"] for message in resources(document)})


def _one(
    client: KlaviyoClient, known: campaign_tables.Messages, id: str, campaign: str, kept: Mapping[str, Row]
) -> Iterator[Rows]:
    try:
        try:
            page = client.get("get_campaign_message", f"/campaign-messages/{id}", {"include": [_VARIATIONS]}).json()
            asked = _unsaid(page)
        except InvalidRequest as refusal:
            if not _is_about_include(refusal):
                raise
            page, asked = client.get("get_campaign_message", f"/campaign-messages/{id}").json(), {id}
    except NotFound:
        return  # deleted since the campaign was read
    # A message that is there has variations to ask for: if there is no such object, that is no answer.
    found = {message: _variations(client, message) for message in asked}
    yield _rows(known, _with_variations(page, found), kept, campaign)


def _unsaid(page: Document) -> set[str]:
    """Return the ids of messages on a page that says nothing of their variations, not even that there are none."""
    said = {related_id(each, "campaign-message") for each in included(page, "campaign-variation").values()}
    said |= {message["id"] for message in resources(page) if _relationship(message).get("data") is not None}
    return {message["id"] for message in resources(page)} - said


def _relationship(message: Row) -> Row:
    return inside(message, f"relationships.{_VARIATIONS}", below="")


def _variations(client: KlaviyoClient, message: str) -> list[Row]:
    pages = client.pages("get_variations_for_campaign_message", f"/campaign-messages/{message}/{_VARIATIONS}")
    return [each for page in pages for each in resources(page.json())]


def _asked(client: KlaviyoClient, page: Document, messages: set[str]) -> Document:
    """Return a page of messages as if the variations of some were included, without those that are gone."""
    found = {}
    for id in messages:
        try:
            found[id] = _variations(client, id)
        except NotFound:
            page = {**page, "data": [each for each in resources(page) if each["id"] != id]}
    return _with_variations(page, found)


def _with_variations(page: Document, found: Mapping[str, list[Row]]) -> Document:
    """Return a page of messages as if their variations were included. found: message -> its variations."""
    messages = []
    for message in resources(page):
        if message["id"] in found:
            ids = [{"type": "campaign-variation", "id": each["id"]} for each in found[message["id"]]]
            relationships = {**(message.get("relationships") or {}), _VARIATIONS: {"data": ids}}
            message = {**message, "relationships": relationships}
        messages.append(message)
    more = [each for some in found.values() for each in some]
    return {**page, "data": messages, "included": [*(page.get("included") or []), *more]}


def _is_about_include(refusal: InvalidRequest) -> bool:
    return refusal.status == 400 and "include" in f"{refusal.detail} {refusal.source}".lower()


def _stored_params(warehouse: WarehouseReader) -> dict[str, list[Row]]:
    """Return campaign -> the parameters that are stored, with those columns that are not blocked."""
    name = "campaign_tracking_utm_param"
    live: dict[tuple[str, str], Row] = {
        (param, campaign): {"name": param, "campaign_id": campaign}
        for param, campaign, deleted in warehouse.rows(name, ("name", "campaign_id", DELETED.name))
        if not deleted
    }
    for column in ("type", "value"):
        for param, campaign, value in warehouse.rows(name, ("name", "campaign_id", column)):
            if row := live.get((param, campaign)):
                row[column] = value
    found: dict[str, list[Row]] = defaultdict(list)
    for row in live.values():
        found[row["campaign_id"]].append(row)
    return found
