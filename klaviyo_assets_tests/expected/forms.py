"""FORM and FORM_VERSION."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, resources, same_names


def form(account: Account) -> Expected:
    return resources(account, "form", same_names("ab_test created_at name status updated_at"))


def form_version(account: Account) -> Expected:
    columns = same_names("created_at form_type status updated_at")
    columns["ab_test_variation_name"] = "ab_test.variation_name"
    return resources(account, "form-version", columns, form_id="form")
