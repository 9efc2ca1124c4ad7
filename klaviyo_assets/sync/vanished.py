"""Asking for events by their ids, before they are flagged because their day no longer returns them.

An event's time can be corrected. A complete read of the day that it was on can't tell such an event from one that is
gone, and there is no filter by ids: each is asked for by a request of its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from klaviyo_assets.api import InvalidRequest, KlaviyoClient, KlaviyoError, NotFound, Page
from klaviyo_assets.schema.decoding import FAILURES, decoded

_SIMPLE = re.compile(r"[\w~@$,:=+-]+")
"""Ids that can be a part of a path."""


class _Resource(msgspec.Struct):
    id: str
    relationships: dict[str, msgspec.Raw] = {}


class _Document(msgspec.Struct):
    data: msgspec.Raw
    included: list[msgspec.Raw] | None = None


_resource, _document = msgspec.json.Decoder(_Resource), msgspec.json.Decoder(_Document)


@dataclass(frozen=True)
class Answer:
    """What became of events: ids of those that Klaviyo still has, as one page, and of those that it says are gone.

    It may have said nothing of others.
    """

    found: frozenset[str]
    page: Page
    gone: frozenset[str]


def ask_for_events(
    client: KlaviyoClient, ids: Sequence[str], *, include: str | None, only_active: bool, log: logging.Logger
) -> Answer:
    """Ask for each event by its id.

    include: what comes with an event. only_active: an event without a profile counts as gone, as the reads leave it
    out. What Klaviyo refuses to say remains open; a failure ends the asking with a warning.
    """
    log.info(f"Asking for {len(ids):,} events by their ids: the days that they were on no longer return them.")
    failures: list[KlaviyoError] = []
    gone: set[str] = set()

    def ask(id: str) -> Page | None:
        if failures or not _SIMPLE.fullmatch(id):
            return None
        try:
            return client.get("get_event", f"/events/{id}", {"include": include})
        except NotFound:
            gone.add(id)
        except InvalidRequest as error:
            log.warning(f"The event {id} is not flagged as deleted: {error}")
        except KlaviyoError as error:
            failures.append(error)
        return None

    found: dict[str, Page] = {}
    with ThreadPoolExecutor(client.max_concurrency, thread_name_prefix="ask") as pool:
        for id, page in zip(ids, pool.map(ask, ids), strict=True):
            if page is None or page.rows != 1:
                continue
            try:
                resource = decoded(_resource, page.data)
            except FAILURES:
                continue  # its shape says nothing about it
            if only_active and not _has_profile(resource):
                gone.add(id)
            elif resource.id == id:
                found[id] = page
    if failures:
        log.warning(f"Events that were not asked for are not flagged as deleted: {failures[0]}")
    return Answer(frozenset(found), _one_page(found.values()), frozenset(gone))


def _has_profile(event: _Resource) -> bool:
    profile = msgspec.json.decode(event.relationships.get("profile", msgspec.Raw(b"null")))
    return bool(profile and profile.get("data"))


def _one_page(pages: Iterable[Page]) -> Page:
    documents = [decoded(_document, page.content) for page in pages]
    included = [resource for document in documents for resource in document.included or ()]
    content = msgspec.json.encode({"data": [document.data for document in documents], "included": included})
    return Page.of(content, "get_event")
