"""Forms, their versions, and web feeds: collections whose cursors have no id that tells equal times apart."""

from __future__ import annotations

from collections.abc import Iterator

from klaviyo_assets.api import NotFound
from klaviyo_assets.sync.reads.reading import Account, Document, by_creation
from klaviyo_assets.tables import extras
from klaviyo_assets.tables import forms as form_tables
from klaviyo_assets.tables.jsonapi import Rows, resources


def forms(account: Account) -> Iterator[Rows]:
    """Read every form, 100 a page."""
    for page in _forms(account):
        yield form_tables.rows(page)


def form_versions(account: Account) -> Iterator[Rows]:
    """Read every version of every form: one request for each form, of 60 a minute."""
    ids = dict.fromkeys(form["id"] for page in _forms(account) for form in resources(page))
    for id in ids:
        versions = by_creation(
            account.client,
            "get_versions_for_form",
            f"/forms/{id}/form-versions",
            created="created_at",
            page_size=100,
        )
        try:
            for page in versions:
                yield form_tables.versions(page, id)
        except NotFound:
            continue  # deleted since the forms were listed


def web_feeds(account: Account) -> Iterator[Rows]:
    """Read every web feed, 20 a page."""
    for page in by_creation(account.client, "get_web_feeds", "/web-feeds", created="created", page_size=20):
        yield extras.web_feeds(page)


def _forms(account: Account) -> Iterator[Document]:
    return by_creation(account.client, "get_forms", "/forms", created="created_at", page_size=100)
