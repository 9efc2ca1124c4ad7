"""ACCOUNT_HISTORY; optional: BILLING_USAGE, WEBHOOK."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, keyed, resources, same_names

CONTACT = "contact_information"
ADDRESS = {
    **same_names("city country region zip"),
    "address_1": "address1",
    "address_2": "address2",
}
ACCOUNT = {
    **same_names("industry locale preferred_currency public_api_key test_account timezone"),
    **{
        f"{CONTACT}_{name}": f"{CONTACT}.{name}"
        for name in ("default_sender_email", "default_sender_name", "organization_name", "website_url")
    },
    **{f"{CONTACT}_street_address_{column}": f"{CONTACT}.street_address.{name}" for column, name in ADDRESS.items()},
}


def account_history(account: Account) -> Expected:
    """The account as it is now, by id alone: `observed_at` is a time of the sync."""
    return resources(account, "account", ACCOUNT)


def billing_usage(account: Account) -> Expected:
    names = same_names("as_of period_end period_start unit usage_max usage_used")
    return resources(account, "billing-usage", names)


def webhook(account: Account) -> Expected:
    rows = resources(account, "webhook", same_names("created_at description enabled endpoint_url name updated_at"))
    for row in rows.values():
        row["topics"] = account.related("webhook", row["id"], "webhook-topics")
    return rows


def brand_resource(account: Account) -> Expected:
    rows = []
    for type in ("button", "color", "email-default", "logo", "social-group", "voice"):
        for each in account.all(f"brand-{type}"):
            definition = {name: value for name, value in each.attributes.items() if name != "name"}
            row = {"type": type, "id": each.id, "name": each.attributes.get("name"), "definition": definition}
            rows.append(row)
    return keyed(rows, "type", "id")


def text_messaging_sender(account: Account) -> Expected:
    columns = same_names("created_at forwarding_number sender_identifier sender_type status")
    return resources(account, "text-messaging-sender", {**columns, "sender_details_country": "sender_details.country"})
