"""Whether campaigns have changed since their last import, so that they need not wait a day for the next one.

A changed message can't be imported by itself: a campaign adds up all of its messages and audiences, and what of a
message is gone is only seen where the rest of it is. So a change has all campaigns imported, a request for each 100.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from klaviyo_assets.api import Filter, InvalidRequest, KlaviyoClient, NotPermitted, all_of, equals, greater_or_equal
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_snapshot_due
from klaviyo_assets.sync.scopes import CHANGED
from klaviyo_assets.tables.campaigns import CAMPAIGN_MESSAGE
from klaviyo_assets.tables.jsonapi import first_time
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.warehouse.state import SNAPSHOT, States, SyncState

_ASKED = (
    ("get_campaign_messages", "/campaign-messages", "campaign-message", "updated", None),
    ("get_campaigns", "/campaigns", "campaign", "updated_at", None),
    ("get_campaigns", "/campaigns", "campaign", "updated_at", equals("archived", True)),
)
"""Operation, path, type, its attribute with the time of the last change, and what is asked for: archived campaigns are
in no answer that they are not asked for in."""


def with_changes(settings: Settings, account: KlaviyoAccount, states: States, run_id: str) -> States:
    """Return the states, and those that say that campaigns have changed; these are stored, too.

    Nothing is asked while the campaigns are due anyway, and of a key that may not ask nothing is learnt.
    """
    tables = [each for each in TABLES if each.family == CAMPAIGN_MESSAGE.family and settings.enabled(each)]
    found = {table.name: states.get((table.name, SNAPSHOT)) for table in tables}
    imports = {name: state.synced_through for name, state in found.items() if state and state.synced_through}
    if not tables or len(imports) < len(tables) or is_snapshot_due(settings, states, tables, account.now()):
        return states
    if not any(_has_later(account.client, min(imports.values()), *each) for each in _ASKED):
        return states
    new = [
        SyncState(name, CHANGED, synced_through=imported, complete=True, run_id=run_id)
        for name, imported in imports.items()
    ]
    account.warehouse.remember(*new)
    return {**states, **{(state.table, state.scope): state for state in new}}


def _has_later(
    client: KlaviyoClient, since: dt.datetime, operation: str, path: str, type: str, changed: str, only: Filter | None
) -> bool:
    wanted = all_of(only, greater_or_equal(changed, since))
    query: dict[str, Any] = {"filter": wanted, "page[size]": 1, f"fields[{type}]": changed}
    try:
        page = client.get(operation, path, query, many=True)
    except (InvalidRequest, NotPermitted):
        return False
    last = first_time(page.json(), changed)
    return last is not None and last >= since
