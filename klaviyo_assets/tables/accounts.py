"""ACCOUNT_HISTORY, from `GET /accounts`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, attributes, described, latest, mapping, resources, row_of
from klaviyo_assets.tables.table import DAILY, Family, Table, boolean, text, timestamp

ACCOUNT_HISTORY = Table(
    name="account_history",
    family=Family("accounts", ("accounts:read",)),
    captures_deletes=False,
    cadence=DAILY,
    description="The account's settings, as they were each time that they were read.",
    columns=(
        text("id", "The account's id."),
        timestamp("observed_at", "When the settings were read."),
        text("contact_information_default_sender_email", "Sender address that new emails start with."),
        text("contact_information_default_sender_name", "Sender name that new emails start with."),
        text("contact_information_organization_name", "Name of the organization."),
        text("contact_information_street_address_address_1", "First line of its address."),
        text("contact_information_street_address_address_2", "Second line of its address."),
        text("contact_information_street_address_city", "City."),
        text("contact_information_street_address_country", "Country."),
        text("contact_information_street_address_region", "State, province or region."),
        text("contact_information_street_address_zip", "Zip or postal code."),
        text("contact_information_website_url", "Website of the organization."),
        text("industry", "What the organization does."),
        text("locale", "Language and region, en-US for example."),
        text("preferred_currency", "Currency of the account, as an ISO code."),
        text("public_api_key", "The public key of the account, which its web pages show."),
        boolean("test_account", "Whether it is a test account."),
        text("timezone", "Time zone of the account, an IANA name."),
    ),
    primary_key=("id", "observed_at"),
)

TABLES = (ACCOUNT_HISTORY,)

_CONTACT = "contact_information_"
_ADDRESS = "contact_information_street_address_"


def rows(document: Mapping[str, Any], observed_at: dt.datetime) -> Rows:
    """Return the rows of ACCOUNT_HISTORY. observed_at: when the account was read, with its time zone."""
    found = (
        row_of(account, ACCOUNT_HISTORY.types, FIELDS) | {"observed_at": observed_at} for account in described(document)
    )
    return {"account_history": latest(found, "id", "observed_at")}


def _path(column: str) -> str:
    if column.startswith(_ADDRESS):
        return f"contact_information.street_address.{column.removeprefix(_ADDRESS).replace('address_', 'address')}"
    return f"contact_information.{column.removeprefix(_CONTACT)}" if column.startswith(_CONTACT) else column


FIELDS = {column: _path(column) for column in ACCOUNT_HISTORY.types if column not in ACCOUNT_HISTORY.primary_key}
"""Column -> where its value is in the API's attributes."""

ORGANIZATION = "contact_information_organization_name"
NAME = FIELDS[ORGANIZATION]
"""The column with the account's name, for people, and its field in the API."""


def account_named(document: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the id and the name of the account, None if the document has none."""
    for account in resources(document):
        return account["id"], mapping(attributes(account).get("contact_information")).get("organization_name")
    return None
