"""EVENT, from `GET /events?include=attributions`: raw pages to columns.

The only table with a row per message and click; its properties are what `properties` is made for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.decoding import Lenient
from klaviyo_assets.schema.lost import UNDESCRIBED, note
from klaviyo_assets.schema.spec import Lookup
from klaviyo_assets.schema.values import FIRST_SECOND, LAST_SECOND
from klaviyo_assets.tables.jsonapi import identifier, instant_or_none
from klaviyo_assets.tables.properties import Properties, PropertyColumns, exact_properties, object_of
from klaviyo_assets.tables.raw import number_of
from klaviyo_assets.tables.table import Family, Table, double, json, references, text, timestamp

PREFIX = "property_"
PROPERTIES = "attributes.event_properties"
VALUE = "property_value"
VALUE_TEXT = "property_value_text"
ATTRIBUTION = "property_attribution"

EVENT = Table(
    name="event",
    family=Family("events", ("events:read",)),
    description="Everything that happened: messages received, opened and clicked, orders, custom events.",
    columns=(
        text("id", "The event's id."),
        text("campaign_id", "The campaign whose message this event is about; empty for a conversion."),
        text("flow_id", "The flow whose message this event is about; empty for a conversion."),
        text("flow_message_id", "The flow message this event is about."),
        text("metric_id", "The metric: what kind of event it is."),
        text("person_id", "The profile; empty if it was deleted."),
        text("_variation", "The variation of an A/B test that the message belongs to."),
        timestamp("datetime", "When it happened."),
        timestamp("timestamp", "When it happened; the same instant as datetime."),
        text("type", "Name of the metric."),
        text("uuid", "A second id, made from the time of the event."),
        double(VALUE, f"The event's value, such as the total of an order. Not a number: see {VALUE_TEXT}."),
        json(ATTRIBUTION, "The message that gets the credit for this conversion, as the API gives it."),
    ),
    primary_key=("id",),
    foreign_keys=references(
        campaign_id="campaign",
        flow_id="flow",
        flow_message_id="flow_message",
        metric_id="metric",
        person_id="person",
        nominal=["campaign_id", "flow_id", "flow_message_id", "metric_id"],
    ),
    partitioned_by="datetime",
    dynamic=PREFIX,
    lookups=(
        Lookup("type", on="metric_id", table="metric", key="id", value="name"),
        Lookup("campaign_id", on="campaign_id", table="campaign_message", key="id", value="campaign_id"),
    ),
)

TABLES = (EVENT,)


@dataclass(frozen=True)
class EventContext:
    """What the rows of EVENT take from other tables.

    metric_names: metric id -> name.
    campaign_of_message: campaign message id -> campaign id.
    """

    metric_names: Mapping[str, str]
    campaign_of_message: Mapping[str, str]


# gc=False: none of them is ever part of a cycle, and the collector would look at thousands a page.


class _Reference(Struct, gc=False):
    id: str | None = None


class _ToOne(Struct, gc=False):
    data: _Reference | None = None


class _ToMany(Struct, gc=False):
    data: list[_Reference] | None = None


class _Relationships(Struct, gc=False):
    profile: _ToOne | None = None
    metric: _ToOne | None = None
    attributions: _ToMany | None = None


class _Attributes(Struct, gc=False):
    timestamp: Any = None
    datetime: Any = None
    uuid: Any = None
    event_properties: Raw = Raw()


_NOTHING = _Attributes()


class _Event(Struct, gc=False):
    id: str
    attributes: _Attributes
    relationships: _Relationships | None = None


class _Relationship(Struct, gc=False, omit_defaults=True):
    data: Raw = Raw()


class _Included(Struct, gc=False):
    type: str
    id: str
    relationships: dict[str, _Relationship | None] | None = None


class EventPage(Struct, gc=False):
    """A decoded page of events; property values keep its content alive."""

    data: list[_Event] | None
    included: list[_Included] | None = None

    @property
    def properties(self) -> list[dict[str, Raw] | None]:
        """The properties of each event, with the JSON text of their values."""
        return exact_properties([event.attributes.event_properties for event in self.data or ()])


_page = Lenient(EventPage)

_FIRST_DAY, _LAST_DAY = "0001-01-02", "9999-12-31"  # beyond these a time zone may lead out of the calendar


def read(content: bytes) -> EventPage:
    """Decode a page of events. A value that has no place where it is counts as missing, and is noted.

    So is an event without any attributes, which is left out. Of `timestamp` and `datetime`, the same instant, one that
    is missing or can't be read takes the other.

    Raises msgspec.DecodeError if the page is no JSON.
    """
    page = _page.decode(content, note)
    for event in page.data or ():
        event.attributes.event_properties = object_of(event.attributes.event_properties, event.id, PROPERTIES, note)
    if page.data and not _are_dated(page.data):
        page.data = list(filter(_has_attributes, page.data))
        for event in page.data:
            _agree(event.attributes)
    return page


def _are_dated(events: Sequence[_Event]) -> bool:
    """Whether both times of all events can be read, as nearly always; `timestamp` need not have been asked for."""
    texts = [event.attributes.datetime for event in events]
    seconds = [event.attributes.timestamp for event in events]
    try:
        list(map(dt.datetime.fromisoformat, texts))
        if min(texts) < _FIRST_DAY or max(texts) >= _LAST_DAY:
            return False
        kinds = set(map(type, seconds))
        return kinds == {type(None)} or (
            kinds <= {int, float} and min(seconds) >= FIRST_SECOND and max(seconds) <= LAST_SECOND
        )
    except (TypeError, ValueError):
        return False


def _has_attributes(event: _Event) -> bool:
    if event.attributes == _NOTHING:
        note(event.id, UNDESCRIBED)
        return False
    return True


def _agree(a: _Attributes) -> None:
    if instant_or_none(a.datetime) is None:
        a.datetime = a.timestamp if instant_or_none(a.timestamp) or a.datetime is None else a.datetime
    elif instant_or_none(a.timestamp) is None:
        a.timestamp = a.datetime


def columns(page: bytes | EventPage, context: EventContext) -> Columns:
    """Turn a page of events, or its content, into columns.

    `timestamp` holds epoch seconds and `datetime` ISO text, as the API gives them.

    Raises msgspec.DecodeError if the page is no JSON.
    """
    page = page if isinstance(page, EventPage) else read(page)
    events = page.data or []
    attributions = {item.id: item for item in page.included or () if item.type == "attribution"}
    declared: dict[str, list[Any]] = {name: [None] * len(events) for name in EVENT.types}

    all_attributes = [event.attributes for event in events]
    declared["id"] = [event.id for event in events]
    declared["datetime"] = [a.datetime for a in all_attributes]
    declared["timestamp"] = [a.datetime if a.timestamp is None else a.timestamp for a in all_attributes]
    declared["uuid"] = [a.uuid for a in all_attributes]
    for row, event in enumerate(events):
        if (r := event.relationships) is not None:
            if r.metric is not None and r.metric.data is not None:
                metric_id = declared["metric_id"][row] = identifier(r.metric.data.id)
                declared["type"][row] = context.metric_names.get(metric_id)
            if r.profile is not None and r.profile.data is not None:
                declared["person_id"][row] = identifier(r.profile.data.id)
            if r.attributions is not None and r.attributions.data:
                declared[ATTRIBUTION][row] = _attribution(r.attributions.data, attributions)
    properties = Properties([a.event_properties for a in all_attributes])
    _fill_message(declared, properties, context)
    found = properties.columns(PREFIX)
    _fill_value(declared, found)
    _fill_attribution(declared, found, properties)
    return found.columns(declared)


def _fill_message(declared: dict[str, list[Any]], properties: Properties, context: EventContext) -> None:
    """Take the properties that say which message an event is about."""
    flows, messages, variations = map(properties.take, ("$flow", "$message", "$variation"))
    declared["_variation"] = variations
    declared["flow_id"] = flows
    for row, (flow, message) in enumerate(zip(flows, messages, strict=True)):
        if flow is not None:
            declared["flow_message_id"][row] = message
        elif message is not None:
            declared["campaign_id"][row] = context.campaign_of_message.get(message, message)


def _fill_value(declared: dict[str, list[Any]], found: PropertyColumns) -> None:
    """Take the values; what of them is no number goes to a column beside them."""
    others = []
    for given in found.take(VALUE):
        declared[VALUE][given.row], exact = number_of(given.value)
        if not exact:
            others.append((given, VALUE_TEXT))
    found.add(others)


def _fill_attribution(declared: dict[str, list[Any]], found: PropertyColumns, properties: Properties) -> None:
    """Take the attributions that are properties; one that has to give way to a resource gets a column of its own."""
    displaced = []
    for given in found.take(ATTRIBUTION):
        if declared[ATTRIBUTION][given.row] is not None:
            displaced.append((given, ATTRIBUTION))
        elif given.value not in (None, ""):
            declared[ATTRIBUTION][given.row] = properties.text(given.row, given.key)
    found.add(displaced, hashed=True)


def _attribution(references: Iterable[_Reference], attributions: Mapping[str, _Included]) -> Raw | None:
    """The first attribution on the page, without links; only its id if the page lacks the resource."""
    ids = [reference.id for reference in references if reference.id]
    if not ids:
        return None
    found = next((attributions[key] for key in ids if key in attributions), None)
    if found is None:
        return Raw(msgspec.json.encode({"type": "attribution", "id": ids[0]}))
    linked = {name: item for name, item in (found.relationships or {}).items() if item and bytes(item.data)}
    return Raw(msgspec.json.encode({"type": found.type, "id": found.id, "relationships": linked}))
