"""The parameters of requests that leave out fields which only blocked columns come from."""

from __future__ import annotations

from klaviyo_assets.privacy.fieldsets import FIELDSETS, Fieldset
from klaviyo_assets.privacy.policy import Action
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table as table_named


def sparse_fields(settings: Settings) -> dict[str, dict[str, str]]:
    """Return operation -> its parameters `fields[...]`, of the operations that need not return everything."""
    found: dict[str, dict[str, str]] = {}
    for fieldset in FIELDSETS:
        wanted = _wanted(settings, fieldset)
        if wanted != _wanted(settings, fieldset, blocked_too=True):
            found.setdefault(fieldset.operation, {})[f"fields[{fieldset.type}]"] = ",".join(wanted)
    return found


def asks_for_subscriptions(settings: Settings) -> bool:
    """Return whether PERSON or an exclusion needs the subscriptions of profiles."""
    (profiles,) = (fieldset for fieldset in FIELDSETS if fieldset.operation == "get_profiles")
    return "subscriptions" in _wanted(settings, profiles)


def _wanted(settings: Settings, fieldset: Fieldset, *, blocked_too: bool = False) -> list[str]:
    policies = {name: settings.privacy.policy(table_named(name)) for name in fieldset.columns}

    def wants(table: str, column: str) -> bool:
        if not settings.enabled(table_named(table)):
            return False
        return blocked_too or policies[table].action(column) is not Action.BLOCK

    prefix = fieldset.prefix
    properties = blocked_too or not (prefix and any(policy.blocks_every(prefix) for policy in policies.values()))
    return fieldset.wanted(wants, properties)
