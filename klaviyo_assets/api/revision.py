"""The revisions of the API that the client speaks, and until when Klaviyo supports each.

`operations.revision` says which of them an operation is asked for in.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

REVISION = "2026-07-15"
"""What is spoken by every operation that no later revision changes."""

LATER = {
    "2026-10-15": """
        get_audience_for_campaign_message get_audience_id_for_campaign_message get_audience_ids_for_campaign
        get_billing_usage get_brand_button get_brand_buttons get_brand_color get_brand_colors
        get_brand_email_default get_brand_email_defaults get_brand_logo get_brand_logos get_brand_social_group
        get_brand_social_groups get_brand_voice get_campaign get_campaign_audience
        get_campaign_audiences_for_campaign get_campaign_for_campaign_audience get_campaign_for_campaign_message
        get_campaign_id_for_campaign_audience get_campaign_id_for_campaign_message get_campaign_message
        get_campaign_messages get_campaign_messages_for_campaign_audience get_campaign_variation get_campaigns
        get_coupons
        get_image_for_campaign_variation get_image_id_for_campaign_variation get_message_for_campaign_variation
        get_message_id_for_campaign_variation get_message_ids_for_campaign get_message_ids_for_campaign_audience
        get_messages_for_campaign get_tag_ids_for_campaign_message get_tags_for_campaign_message get_templates
        get_text_messaging_sender get_text_messaging_senders get_translation get_translations
        get_variation_ids_for_campaign_message get_variations_for_campaign_message list_billing_usage
    """,
}
"""A later revision -> the operations that are asked for in it: it is the first that has them as they are read here."""

REVISIONS: dict[str, str] = {
    operation: revision for revision, operations in LATER.items() for operation in operations.split()
}
"""Operation -> the revision that it is asked for in; `REVISION` for those that are not here."""

WARNING_DAYS = 90
"""Days before the end of a revision's support from which on there is a warning."""


def supported_until(revision: str) -> date:
    """Return the day on which Klaviyo retires a revision.

    A revision is supported for a year, deprecated for another, then retired. A request with a retired one does not
    fail: it silently gets the next revision that is still supported
    (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
    """
    released = date.fromisoformat(revision)
    return released.replace(year=released.year + 2)


def revision_support(today: date) -> dict[str, int]:
    """Return revision -> days from `today` until Klaviyo retires it, negative once it is; of all that are spoken."""
    return {revision: (supported_until(revision) - today).days for revision in (REVISION, *LATER)}


def ending(today: date) -> Iterator[str]:
    """Yield a sentence for each revision that Klaviyo retires within `WARNING_DAYS`."""
    for revision, days in revision_support(today).items():
        if days < WARNING_DAYS:
            told = f"supports revision {revision} of its API, which this version speaks, for {days} more days"
            if days <= 0:
                told = f"no longer supports revision {revision} of its API, which this version speaks"
            yield f"Klaviyo {told}: update klaviyo-assets."
