"""The `subscriptions` and `predictive_analytics` of a profile, as Klaviyo shows them for a profile without any."""

from __future__ import annotations

from typing import Any

PREDICTIONS = (
    "historic_number_of_orders",
    "predicted_number_of_orders",
    "average_days_between_orders",
    "average_order_value",
    "historic_clv",
    "predicted_clv",
    "total_clv",
    "churn_probability",
    "expected_date_of_next_order",
    "ranked_channel_affinity",
)


def no_predictions() -> dict[str, Any]:
    """`predictive_analytics` of a profile that has too few orders for any."""
    return dict.fromkeys(PREDICTIONS)


def never_subscribed() -> dict[str, Any]:
    """`subscriptions` of a profile that never gave or withdrew a consent; a new object at every call."""

    def tracking() -> dict[str, Any]:
        return {
            "consent": "NEVER_SUBSCRIBED",
            "consent_timestamp": None,
            "last_updated": None,
            "created_timestamp": None,
            "metadata": None,
            "can_receive": False,
            "valid_until": None,
        }

    def sms(kind: str) -> dict[str, Any]:
        return {
            f"can_receive_sms_{kind}": False,
            "consent": "NEVER_SUBSCRIBED",
            "consent_timestamp": None,
            "method": None,
            "method_detail": None,
            "last_updated": None,
        }

    return {
        "email": {
            "marketing": {
                "can_receive_email_marketing": True,
                "consent": "NEVER_SUBSCRIBED",
                "consent_timestamp": None,
                "last_updated": None,
                "method": None,
                "method_detail": None,
                "custom_method_detail": None,
                "double_optin": None,
                "suppression": [],
                "list_suppressions": [],
            },
            "open_tracking": tracking(),
            "click_tracking": tracking(),
        },
        "sms": {"marketing": sms("marketing"), "transactional": sms("transactional")},
        "mobile_push": {
            "marketing": {
                "can_receive_push_marketing": False,
                "consent": "NEVER_SUBSCRIBED",
                "consent_timestamp": None,
            }
        },
        "whatsapp": None,
    }
