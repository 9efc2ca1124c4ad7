"""EMAIL_TEMPLATE; optional: UNIVERSAL_CONTENT, IMAGE and WEB_FEED."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, resources, same_names


def email_template(account: Account) -> Expected:
    """The templates of the library: the API does not list the copies that campaign messages own."""
    rows = resources(account, "template", same_names("created editor_type html name screenshot_url text updated"))
    return {key: row for key, row in rows.items() if not account.is_clone(row["id"])}


def universal_content(account: Account) -> Expected:
    columns = same_names("created definition name screenshot_status screenshot_url updated")
    return resources(account, "template-universal-content", columns)


def image(account: Account) -> Expected:
    """Every image, hidden ones too."""
    return resources(account, "image", same_names("format hidden image_url name size updated_at"))


def web_feed(account: Account) -> Expected:
    return resources(account, "web-feed", same_names("content_type created name request_method status updated url"))


def translation(account: Account) -> Expected:
    columns = same_names("channel created fallback_locale metadata source_locale target_locales updated")
    return resources(account, "translation", columns)
