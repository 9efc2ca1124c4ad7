"""The account, its tracking settings, its usage."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import XS, M, Page, text
from klaviyo_assets.sandbox.api.operations.declare import resource

resource(
    "get_accounts", "get_account", "/accounts", "account", XS, "accounts:read",
    fields="contact_information industry locale preferred_currency public_api_key test_account timezone",
)  # fmt: skip
resource(
    "get_tracking_settings", "get_tracking_setting", "/tracking-settings", "tracking-setting", M,
    "tracking-settings:read", page=Page(1, 1),
    fields="auto_add_parameters custom_parameters utm_campaign utm_id utm_medium utm_source utm_term",
)  # fmt: skip
resource(
    "list_billing_usage", "get_billing_usage", "/billing-usage", "billing-usage", M, "usage:read",
    filters={"id": text("any[]")}, bare_links=True, since="2026-10-15",
    fields="as_of period_end period_start unit usage_max usage_used",
)  # fmt: skip
