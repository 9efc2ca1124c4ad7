"""Flows and their messages.

Requests, with n live and m archived flows: FLOW, FLOW_ACTION and their kin take n/50 + 2 m/50, each share rounded up
and at least 1, because `include=flow-actions` brings all actions along. FLOW_MESSAGE takes as many, and one for each
action with a message that is new or has changed since the last sync (all of them the first time), of 60 a minute.

FLOW_MESSAGE needs these requests only for `channel`, `created` and `updated`: an action's definition holds the rest.
A row of the warehouse is reused if the definition still says the same and the action's `updated` lies before the last
sync. (A column that is blocked or hashed never says the same.) Whether a change of a message moves the `updated` of its
action is not documented; if it does not, a change of what no column holds (the text of an SMS) leaves `updated` of
FLOW_MESSAGE behind until a column changes. The `updated` of a flow moves with neither.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from klaviyo_assets.api import NotFound
from klaviyo_assets.schema.spec import DELETED
from klaviyo_assets.sync.reads.reading import Account, Document, WarehouseReader, both_sides
from klaviyo_assets.tables import flows as flow_tables
from klaviyo_assets.tables.jsonapi import Row, Rows, attributes, included, instant_or_none, mapping

LATENESS = dt.timedelta(hours=1)
"""How long before the last sync a change may have been made and not yet seen."""


def flows(account: Account) -> Iterator[Rows]:
    """Read every flow with its actions and tags, archived ones by a query of their own, 50 a page."""
    for page in _flows(account, "flow-actions", "tags"):
        yield flow_tables.rows(page)


def flow_messages(account: Account) -> Iterator[Rows]:
    """Read the messages of every action that may have some."""
    known = KnownMessages(account.warehouse)
    done: set[str] = set()
    for page in _flows(account, "flow-actions"):
        actions = included(page, "flow-action")
        for id in flow_tables.actions_with_messages(page):
            if id in done:
                continue
            done.add(id)
            unchanged = known.of(id, attributes(actions.get(id, {})))
            if unchanged:
                yield {"flow_message": unchanged}
            else:
                yield from _messages(account, id)


class KnownMessages:
    """The messages that the warehouse has, and whether they may have changed since."""

    def __init__(self, warehouse: WarehouseReader) -> None:
        state = warehouse.state("flow_message")  # before the rows: those may only be newer
        self._through = state.synced_through - LATENESS if state and state.synced_through else None
        self._rows: dict[str, list[Row]] = defaultdict(list)
        columns = tuple(flow_tables.FLOW_MESSAGE.types)
        for *values, deleted in warehouse.rows("flow_message", (*columns, DELETED.name)):
            row = dict(zip(columns, values, strict=True))
            if not deleted and row["flow_action_id"]:
                self._rows[row["flow_action_id"]].append(row)

    def of(self, id: str, action: Mapping[str, Any]) -> list[Row]:
        """Return the rows of an action's messages, none if they have to be asked for.

        action: its attributes. The messages of an A/B test always have to be asked for.
        """
        updated = instant_or_none(action.get("updated"))
        message = mapping(mapping(mapping(action.get("definition")).get("data")).get("message"))
        rows = self._rows.get(id, [])
        if not (self._through and updated and updated < self._through):
            return []
        return rows if any(row == _row(message, row, id) for row in rows) else []


def _row(message: Row, known: Row, action: str) -> Row | None:
    """The row of an action's message, with what its definition lacks taken from the known row."""
    more = {name: known[name] for name in ("channel", "created", "updated")}
    if not message.get("id"):
        return None
    resource = {"id": message["id"], "attributes": {**more, "definition": message}}
    return next(iter(flow_tables.messages({"data": [resource]}, action)["flow_message"]), None)


def _messages(account: Account, action: str) -> Iterator[Rows]:
    path = f"/flow-actions/{action}/flow-messages"
    try:
        for page in account.client.pages("get_flow_action_messages", path, {"sort": "id", "page[size]": 50}):
            yield flow_tables.messages(page.json(), action)
    except NotFound:
        return  # deleted since the flows were read


def _flows(account: Account, *include: str) -> Iterator[Document]:
    only = {"fields[tag]": "id"} if "tags" in include else {}
    return both_sides(
        account.client, "get_flows", "/flows", "archived", include=include, sort="id", page_size=50, **only
    )
