"""PERSON, from `GET /profiles`: raw pages to columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.decoding import Lenient
from klaviyo_assets.schema.lost import UNDESCRIBED, note
from klaviyo_assets.tables.jsonapi import Row, mapping
from klaviyo_assets.tables.properties import Properties, exact_properties, object_of
from klaviyo_assets.tables.table import Family, Table, boolean, double, text, timestamp

PREFIX = "custom_"
PROPERTIES = "attributes.properties"

PERSON = Table(
    name="person",
    family=Family("profiles", ("profiles:read",)),
    description="The profiles of the account: everyone it has an email address, phone number or id of.",
    columns=(
        text("id", "The profile's id."),
        text("address_1", "First line of the address."),
        text("address_2", "Second line of the address."),
        text("city", "City."),
        text("country", "Country."),
        timestamp("created", "When the profile was created."),
        text("email", "Email address."),
        text("external_id", "Id of the person in another system, such as the shop."),
        text("first_name", "First name."),
        text("image", "Address of a picture."),
        text("ip", "IP address that was last seen."),
        timestamp("last_event_date", "Time of the latest event that changed the profile."),
        text("last_name", "Last name."),
        text("latitude", "Latitude in degrees."),
        text("longitude", "Longitude in degrees."),
        text("organization", "Company or organization."),
        text("phone_number", "Phone number with its country code, +16175550111 for example."),
        double("predictive_analytics_average_days_between_orders", "Days between two orders, on average."),
        double("predictive_analytics_average_order_value", "Value of an order, on average."),
        double("predictive_analytics_churn_probability", "Probability of no further order, 0 to 1."),
        timestamp("predictive_analytics_expected_date_of_next_order", "When the next order is expected."),
        double("predictive_analytics_historic_clv", "Value of all orders so far."),
        double("predictive_analytics_historic_number_of_orders", "Number of orders so far."),
        double("predictive_analytics_predicted_clv", "Value of the orders expected in the next year."),
        double("predictive_analytics_predicted_number_of_orders", "Number of orders expected in the next year."),
        double("predictive_analytics_total_clv", "Historic and predicted value together."),
        text("region", "State, province or region."),
        boolean("subscriptions_email_marketing_can_receive_email_marketing", "Whether marketing emails may be sent."),
        text("subscriptions_email_marketing_consent", "SUBSCRIBED, UNSUBSCRIBED or NEVER_SUBSCRIBED to email."),
        text("subscriptions_email_marketing_custom_method_detail", "What the caller said about the subscription."),
        text("subscriptions_email_marketing_double_optin", "Whether the person confirmed: true or false, as text."),
        timestamp("subscriptions_email_marketing_last_updated", "When the email consent record last changed."),
        text("subscriptions_email_marketing_method", "How the person subscribed to email."),
        text("subscriptions_email_marketing_method_detail", "More on how: the list or form, for example."),
        timestamp("subscriptions_email_marketing_timestamp", "When the person gave or withdrew email consent."),
        boolean("subscriptions_sms_marketing_can_receive_sms_marketing", "Whether marketing SMS may be sent."),
        text("subscriptions_sms_marketing_consent", "SUBSCRIBED, UNSUBSCRIBED or NEVER_SUBSCRIBED to SMS."),
        timestamp("subscriptions_sms_marketing_last_updated", "When the SMS consent record last changed."),
        text("subscriptions_sms_marketing_method", "How the person subscribed to SMS."),
        text("subscriptions_sms_marketing_method_detail", "More on how: the list or form, for example."),
        timestamp("subscriptions_sms_marketing_timestamp", "When the person gave or withdrew SMS consent."),
        text("timezone", "Time zone, America/New_York for example."),
        text("title", "Job title."),
        timestamp("updated", "When the profile last changed."),
        text("zip", "Zip or postal code."),
        boolean("subscriptions_email_click_tracking_can_receive", "Whether clicks in emails may be followed."),
        text("subscriptions_email_click_tracking_consent", "SUBSCRIBED, UNSUBSCRIBED or NEVER_SUBSCRIBED to that."),
        timestamp("subscriptions_email_click_tracking_last_updated", "When that consent record last changed."),
        timestamp("subscriptions_email_click_tracking_timestamp", "When the person gave or withdrew that consent."),
        timestamp("subscriptions_email_click_tracking_valid_until", "When that consent ends."),
    ),
    primary_key=("id",),
    version="updated",
    partitioned_by="updated",
    dynamic=PREFIX,
)

TABLES = (PERSON,)

ANALYTICS = "predictive_analytics_"
EMAIL = "subscriptions_email_marketing_"
SMS = "subscriptions_sms_marketing_"
CLICKS = "subscriptions_email_click_tracking_"
SUBSCRIPTIONS = "attributes.subscriptions"
"""The field with the consents of a profile."""

_LOCATION = {
    "address_1": "address1",
    "address_2": "address2",
    **{name: name for name in ("city", "country", "ip", "latitude", "longitude", "region", "timezone", "zip")},
}
_ATTRIBUTES = tuple(
    name
    for name in PERSON.types
    if name != "id" and name not in _LOCATION and not name.startswith((ANALYTICS, EMAIL, SMS, CLICKS))
)

FIELDS = {
    **{name: name for name in _ATTRIBUTES},
    **{column: f"location.{name}" for column, name in _LOCATION.items()},
    **{name: "subscriptions" for name in PERSON.types if name.startswith((EMAIL, SMS, CLICKS))},
}
"""Column -> the field of a profile that it comes from; predictive analytics are asked for by a pass of their own."""


class _Channel(Struct, gc=False):
    marketing: dict[str, Any] | None = None
    click_tracking: Any = UNSET


class _Subscriptions(Struct, gc=False):
    email: _Channel | None = None
    sms: _Channel | None = None


class _Attributes(Struct, gc=False):
    created: Any = UNSET
    email: Any = UNSET
    external_id: Any = UNSET
    first_name: Any = UNSET
    image: Any = UNSET
    last_event_date: Any = UNSET
    last_name: Any = UNSET
    organization: Any = UNSET
    phone_number: Any = UNSET
    title: Any = UNSET
    updated: Any = UNSET
    location: dict[str, Any] | UnsetType | None = UNSET
    properties: Raw = Raw()
    subscriptions: _Subscriptions | UnsetType | None = UNSET
    predictive_analytics: dict[str, Any] | UnsetType | None = UNSET


_NOTHING = _Attributes()


class _Profile(Struct, gc=False):
    id: str
    attributes: _Attributes


class _Page(Struct, gc=False):
    data: list[_Profile] | None


_page = Lenient(_Page)


@dataclass(frozen=True)
class ProfilePage:
    """A decoded page of profiles; values of custom properties keep its content alive.

    unread: ids of profiles whose subscriptions the page does not show, or not so that anybody could read them.
    """

    profiles: list[_Profile]
    unread: set[str]

    @property
    def properties(self) -> list[dict[str, Raw] | None]:
        """The custom properties of each profile, with the JSON text of their values."""
        return exact_properties([profile.attributes.properties for profile in self.profiles])

    @property
    def marketing(self) -> list[tuple[str, Row]]:
        """The id of each profile, and what its subscriptions say about marketing emails."""
        return [(profile.id, _email(profile.attributes.subscriptions)) for profile in self.profiles]


def read(content: bytes) -> ProfilePage:
    """Decode a page of profiles. A value that has no place where it is counts as missing, and is noted.

    So is a profile without any attributes, which is left out.

    Raises msgspec.DecodeError if the page is no JSON.
    """
    unread: set[str] = set()

    def misfit(id: str | None, field: str) -> None:
        note(id, field)
        if id and field.startswith(SUBSCRIPTIONS):
            unread.add(id)

    profiles = []
    for profile in _page.decode(content, misfit).data or []:
        profile.attributes.properties = object_of(profile.attributes.properties, profile.id, PROPERTIES, misfit)
        if profile.attributes == _NOTHING:
            note(profile.id, UNDESCRIBED)
        else:
            profiles.append(profile)
    unread.update(profile.id for profile in profiles if profile.attributes.subscriptions is UNSET)
    return ProfilePage(profiles, unread)


def columns(page: bytes | ProfilePage) -> Columns:
    """Turn a page of profiles, or its content, into columns.

    A column whose attribute no profile of the page carries (not null: missing) is left out, so that a read of some
    attributes, or one without predictive analytics, does not overwrite the others with NULL.

    Raises msgspec.DecodeError if the page is no JSON.
    """
    profiles = (page if isinstance(page, ProfilePage) else read(page)).profiles
    all_attributes = [profile.attributes for profile in profiles]
    declared: dict[str, list[Any]] = {"id": [profile.id for profile in profiles]}

    def fill(name: str, values: Sequence[Any]) -> None:
        if any(value is not UNSET for value in values):
            declared[name] = [None if value is UNSET else value for value in values]

    for name in _ATTRIBUTES:
        fill(name, [getattr(a, name) for a in all_attributes])

    location = [_object(a.location) for a in all_attributes]
    for name, member in _LOCATION.items():
        fill(name, [given if given is UNSET else given.get(member) for given in location])

    analytics = [_object(a.predictive_analytics) for a in all_attributes]
    email = [_marketing(a.subscriptions, "email") for a in all_attributes]
    sms = [_marketing(a.subscriptions, "sms") for a in all_attributes]
    clicks = [_clicks(a.subscriptions) for a in all_attributes]
    for prefix, objects in ((ANALYTICS, analytics), (EMAIL, email), (SMS, sms), (CLICKS, clicks)):
        for name in PERSON.types:
            if name.startswith(prefix):
                member = name.removeprefix(prefix)
                fill(name, [given if given is UNSET else given.get(member) for given in objects])
    return Properties([a.properties for a in all_attributes]).columns(PREFIX).columns(declared)


def _object(given: dict[str, Any] | UnsetType | None) -> Any:
    """A nested object; {} for null, UNSET if the page does not carry it."""
    return given if given is UNSET else mapping(given)


def _marketing(given: _Subscriptions | UnsetType | None, channel: str) -> Any:
    """The marketing consent of a channel, its members named as the columns are."""
    if given is UNSET:
        return UNSET
    subscription = getattr(given, channel, None)
    marketing = dict((subscription and subscription.marketing) or {})
    if (consented := marketing.get("consent_timestamp")) is not None:
        marketing["timestamp"] = consented
    if isinstance(double_optin := marketing.get("double_optin"), bool):
        marketing["double_optin"] = "true" if double_optin else "false"
    return marketing


def _clicks(given: _Subscriptions | UnsetType | None) -> Any:
    """The consent to following clicks, its members named as the columns are; UNSET if the page does not carry it.

    Live answers of revision 2026-07-15 have it too, though it is documented since 2026-10-15.
    """
    channel = given.email if isinstance(given, _Subscriptions) else None
    consent = _object(channel.click_tracking) if channel else UNSET
    return consent if consent is UNSET else {**consent, "timestamp": consent.get("consent_timestamp")}


def _email(given: _Subscriptions | UnsetType | None) -> Row:
    channel = given.email if isinstance(given, _Subscriptions) else None
    return (channel and channel.marketing) or {}
