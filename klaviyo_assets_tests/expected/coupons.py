"""COUPON and COUPON_CODE."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, resources, same_names


def coupon(account: Account) -> Expected:
    return resources(account, "coupon", same_names("assigner_configuration description external_id"))


def coupon_code(account: Account) -> Expected:
    codes = resources(account, "coupon-code", same_names("expires_at status unique_code"), coupon_id="coupon")
    # The API links to the profile of a code, but tells no id, and has no route that does.
    return {key: {**row, "person_id": None} for key, row in codes.items()}
