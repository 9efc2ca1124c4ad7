"""Answers to GET requests: the page of a collection, a resource, what is related to it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from random import Random
from typing import Any, TypeVar

import msgspec

from klaviyo_assets.sandbox.account import GROUPS, Event, Resource
from klaviyo_assets.sandbox.account.relations import relation
from klaviyo_assets.sandbox.account.store import Store
from klaviyo_assets.sandbox.api.errors import invalid, not_found
from klaviyo_assets.sandbox.api.filters import Condition
from klaviyo_assets.sandbox.api.order import (
    Row,
    after,
    datetime_key,
    decode_cursor,
    decode_event_cursor,
    encode_cursor,
    encode_event_cursor,
    field_values,
    matches,
    sort_key,
)
from klaviyo_assets.sandbox.api.query import Query
from klaviyo_assets.sandbox.api.serialize import COLLECTIONS, Serializer, encode

MAPPINGS = (
    "revenue",
    "ordered_product",
    "refunded_sales",
    "cancelled_sales",
    "started_checkout",
    "viewed_product",
    "added_to_cart",
)
_TYPES = {path: type for type, path in COLLECTIONS.items()}
_LAST = "\U0010ffff"
T = TypeVar("T")


class Pages:
    """Answers GET requests from an account.

    With `ties`, cursors that lack an id at Klaviyo lack it here too, so that rows with equal values are skipped at a
    page boundary; without, they get one exactly there. With `unsorted_archive`, archived (email) campaigns come
    slightly out of order. With `loose_bounds`, `greater-than` includes the bound for campaigns and flows.
    """

    def __init__(self, account: Store) -> None:
        self.account = account
        self.ties = False
        self.unsorted_archive = False
        self.loose_bounds = False
        self._views: dict[tuple[str, ...], tuple[Any, list[Row]]] = {}

    def answer(self, query: Query, id: str | None, url: str, root: str) -> bytes:
        """The document for a request of `url` below the API's `root`; raises `ApiError`."""
        serializer = Serializer(self.account, root, query)
        operation = query.operation
        if operation.type == "event" and operation.relationship is None:
            return self._event(serializer, id, url) if id else self._events(serializer, url)
        if id is None:
            return self._collection(serializer, self._rows(query), url)
        parent = _TYPES[operation.segments[0]]
        resource = self._parent(parent, id)
        name = operation.relationship
        if name is None:
            return _document([serializer.row(Row((), resource))], serializer, [Row((), resource)], query.link(url))
        found = relation(parent, name)
        if found is not None and not found.many:
            return self._to_one(serializer, parent, id, name, url)
        return self._collection(serializer, self._related_rows(query, parent, resource.id, name), url)

    def _parent(self, type: str, id: str) -> Resource:
        if type == "event":
            event = self._find_event(id)
            data = {"profile": self.account.profile_of(event), "metric": event.metric_id}
            return Resource("event", id, {}, {name: value for name, value in data.items() if value is not None})
        if type == "flow-action" and not id.isdigit():
            raise invalid(f"Invalid Flow Action ID: '{id}'", pointer="/data/id")
        if type == "mapped-metric" and id not in MAPPINGS:
            raise invalid(f"'{id}' is not a valid choice for 'id'.", pointer="/data/attributes/id")
        resource = self.account.get(type, id)
        if resource is None:
            raise not_found(type, id)
        return resource

    # Events

    def _find_event(self, id: str) -> Event:
        if not (id.isascii() and id.isalnum() and 8 <= len(id) <= 12):
            raise invalid(f"Invalid Event ID: '{id}'", pointer="/data/id")
        event = self.account.events.get(id)
        if event is None or event.visible_at > self.account.clock.timestamp():
            raise not_found("event", id)
        return event

    def _event(self, serializer: Serializer, id: str, url: str) -> bytes:
        event = self._find_event(id)
        return _document([serializer.event(event)], serializer, [event], serializer.query.link(url))

    def _events(self, serializer: Serializer, url: str) -> bytes:
        query = serializer.query
        low, high = _bounds(self._conditions(query))
        if query.cursor is not None:
            position = decode_event_cursor(query.cursor)
            if query.descending:
                high = min(high, position)
            else:
                low = max(low, (position[0], position[1] + "\0"))
        tests = [condition for condition in query.conditions if condition.field not in ("datetime", "timestamp")]
        found = self.account.events.between(low, high, descending=query.descending)
        size = query.size or 0
        page = list(islice(self._visible(found, tests), size + query.odd.more + 1))
        last = page[size - 1] if len(page) > size else None
        cursor = encode_event_cursor(last.occurred_at, last.id) if last else None
        page = _odd(page, query)
        return _document(
            [serializer.event(event) for event in page], serializer, page, query.link(url), _link(query, url, cursor)
        )

    def _visible(self, events: Iterable[Event], tests: list[Condition]) -> Iterator[Event]:
        now = self.account.clock.timestamp()
        wanted: dict[str, Any] = {test.field: test.values for test in tests if test.operator == "equals"}
        metrics, profiles = wanted.get("metric_id"), wanted.get("profile_id")
        present = {test.field for test in tests if test.operator == "has"}
        known = self.account.resources.get("metric", {})
        for event in events:
            if event.visible_at > now or (metrics and event.metric_id not in metrics):
                continue
            if "metric" in present and event.metric_id not in known:
                continue
            if profiles or "profile" in present:
                profile_id = self.account.profile_of(event)
                if profile_id is None or (profiles and profile_id not in profiles):
                    continue
            yield event

    # Resources

    def _collection(self, serializer: Serializer, rows: list[Row], url: str) -> bytes:
        query = serializer.query
        operation = query.operation
        fields = operation.cursor.fields(query.sort_field)
        key = decode_cursor(query.cursor, fields, operation.cursor) if query.cursor is not None else None
        conditions = self._conditions(query)
        selected = (
            row
            for row in after(_narrow(rows, query), key, descending=query.descending)
            if matches(self.account, row, conditions)
        )
        page = list(selected if query.size is None else islice(selected, query.size + query.odd.more + 1))
        cursor = None
        if query.size is not None and len(page) > query.size:
            last, following = page[query.size - 1], page[query.size]
            tie = not self.ties and last.key[:-1] == following.key[:-1]
            cursor = encode_cursor(last, fields, operation.cursor, tie=tie)
        page = _odd(page, query)
        if self.unsorted_archive and _is_archive(query):
            # The cursor above is that of the last row in order: whatever the order on a page, the next one goes on.
            page = [row for place in range(0, len(page), 2) for row in reversed(page[place : place + 2])]
        links: dict[str, Any] = {}
        unpaginated = query.size is None and operation.relationship is not None
        if cursor is not None or not (operation.bare_links or unpaginated):
            links = {**_link(query, url, cursor), "prev": _previous(query, url)}
        if operation.ids_only:
            data = [encode({"type": row.resource.type, "id": row.resource.id}) for row in page]
        else:
            data = [serializer.row(row) for row in page]
        return _document(data, serializer, page, query.link(url), links, many=True)

    def _conditions(self, query: Query) -> tuple[Condition, ...]:
        loose = {}
        if query.odd.loose:
            loose = {"greater-than": "greater-or-equal", "less-than": "less-or-equal"}
        elif self.loose_bounds and query.operation.type in ("campaign", "flow"):
            loose = {"greater-than": "greater-or-equal"}
        return tuple(replace(each, operator=loose.get(each.operator, each.operator)) for each in query.conditions)

    def _rows(self, query: Query) -> list[Row]:
        operation = query.operation
        fields = operation.cursor.fields(query.sort_field)
        if operation.page is None:
            return [Row((), resource) for resource in self.account.all(operation.type)]
        rows = self._view((operation.type, *fields), self.account.versions[operation.type], self._sorted, fields)
        asked = {condition.field for condition in query.conditions}
        if operation.type in ("campaign", "flow") and "archived" not in asked:
            return [row for row in rows if True not in field_values(self.account, row, "archived")]
        if operation.type == "image" and "hidden" not in asked:
            return [row for row in rows if not row.resource.attributes.get("hidden")]
        if operation.type == "template":
            return [row for row in rows if not self.account.is_clone(row.resource.id)]
        return rows

    def _related_rows(self, query: Query, type: str, id: str, name: str) -> list[Row]:
        fields = query.operation.cursor.fields(query.sort_field)
        if type in GROUPS and name == "profiles":
            version = self.account.versions[id], self.account.versions["profile"]
            return self._view((id, *fields), version, self._members, id, fields)
        target = query.operation.type
        found = [self.account.get(target, each) for each in self.account.related(type, id, name)]
        rows = [Row((), each) for each in found if each is not None]
        if query.size is None:
            return rows
        return sorted(
            (Row(sort_key(self.account, row.resource, fields, None), row.resource) for row in rows),
            key=lambda row: row.key,
        )

    def _view(self, name: tuple[str, ...], version: Any, build: Any, *arguments: Any) -> list[Row]:
        kept = self._views.get(name)
        if kept is None or kept[0] != version:
            kept = self._views[name] = version, build(name[0], *arguments)
        return kept[1]

    def _sorted(self, type: str, fields: tuple[str, ...]) -> list[Row]:
        rows = [Row(sort_key(self.account, each, fields, None), each) for each in self.account.all(type)]
        return sorted(rows, key=lambda row: row.key)

    def _members(self, _: str, id: str, fields: tuple[str, ...]) -> list[Row]:
        rows = []
        for profile_id, joined_at in self.account.memberships[id].items():
            profile = self.account.get("profile", profile_id)
            if profile is not None:
                rows.append(Row(sort_key(self.account, profile, fields, joined_at), profile, joined_at))
        return sorted(rows, key=lambda row: row.key)

    def _to_one(self, serializer: Serializer, type: str, id: str, name: str, url: str) -> bytes:
        query = serializer.query
        target = query.operation.type
        ids = self._parent(type, id).ids(name) if type == "event" else self.account.related(type, id, name)
        resource = self.account.get(target, ids[0]) if ids else None
        if query.operation.ids_only:
            data = encode({"type": target, "id": ids[0]} if ids else None)
        else:
            data = serializer.row(Row((), resource)) if resource else b"null"
        return _document([data], serializer, [], query.link(url))


def _bounds(conditions: Iterable[Condition]) -> tuple[tuple[int, str], tuple[int, str]]:
    """The range of (second, id) that conditions on `datetime` and `timestamp` leave."""
    low, high = (-(2**60), ""), (2**60, "")
    for condition in conditions:
        if condition.field not in ("datetime", "timestamp") or not condition.values:
            continue
        value = condition.values[0]
        moment = value.timestamp() if isinstance(value, datetime) else value
        floor = int(moment // 1)
        whole = moment == floor
        match condition.operator:
            case "greater-or-equal":
                low = max(low, (floor if whole else floor + 1, ""))
            case "greater-than":
                low = max(low, (floor, _LAST))
            case "less-than":
                high = min(high, (floor if whole else floor + 1, ""))
            case "less-or-equal":
                high = min(high, (floor, _LAST))
    return low, high


def _odd(page: list[T], query: Query) -> list[T]:
    """The rows of a page, which are one more than fit if there is a next one, as the request is to be answered."""
    if query.size is None:
        return page
    page = page[: query.size + query.odd.more]
    if query.odd.shuffled:
        Random(len(page)).shuffle(page)
    return page


def _narrow(rows: list[Row], query: Query) -> list[Row]:
    """Leave out rows that a date condition on the sort field excludes, so that they need not be looked at."""
    start, stop = 0, len(rows)
    for condition in query.conditions:
        if condition.field != query.sort_field or not isinstance(condition.values[0], datetime):
            continue
        bound = datetime_key(condition.values[0])
        if condition.operator.startswith("greater"):
            start = max(start, bisect_left(rows, bound, key=lambda row: row.key[0]))
        elif condition.operator.startswith("less"):
            stop = min(stop, bisect_right(rows, bound, key=lambda row: row.key[0]))
    return rows[start:stop] if (start, stop) != (0, len(rows)) else rows


def _is_archive(query: Query) -> bool:
    """Whether archived campaigns are asked for, in earlier revisions those of emails."""
    asked = {each.field: each.values for each in query.conditions}
    if query.operation.type != "campaign" or asked.get("archived") != (True,):
        return False
    return query.operation.omnichannel or asked.get("messages.channel") == ("email",)


def _link(query: Query, url: str, cursor: str | None) -> dict[str, Any]:
    return {"next": query.link(url, cursor) if cursor is not None else None, "prev": None}


def _previous(query: Query, url: str) -> str | None:
    """Null, but for a filter of lists by ids, whose bogus link was recorded."""
    if query.operation.id == "get_lists" and query.cursor is None:
        for condition in query.conditions:
            if (condition.field, condition.operator) == ("id", "any"):
                ids = msgspec.json.encode(list(condition.values)).decode()
                return query.link(url, f"<Filters: any(id,{ids})>")
    return None


def _document(
    data: list[bytes],
    serializer: Serializer,
    rows: Iterable[Row | Event],
    self_link: str,
    links: dict[str, Any] | None = None,
    *,
    many: bool | None = None,
) -> bytes:
    is_list = many if many is not None else links is not None
    body = [b'{"data":', b"[" + b",".join(data) + b"]" if is_list else data[0]]
    if serializer.query.includes:
        body.append(b',"included":[' + b",".join(serializer.included(rows)) + b"]")
    body.append(b',"links":' + encode({"self": self_link, **(links or {})}) + b"}")
    return b"".join(body)
