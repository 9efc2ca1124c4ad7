"""Profiles of the simulated account: people, their consents and predictions, and what Klaviyo knows of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.account import format_datetime
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed, no_predictions
from klaviyo_assets.sandbox.shop.nasty import NASTY_PROFILE_PROPERTIES
from klaviyo_assets.sandbox.shop.shop import Customer, Shop
from klaviyo_assets.sandbox.shop.words import FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS, PLACES

REASONS = ("UNSUBSCRIBE", "HARD_BOUNCE", "SPAM_COMPLAINT", "USER_SUPPRESSED", "INVALID_EMAIL")
METHODS = ("FORM", "API", "PREFERENCE_PAGE", "MANUAL_ADD", "SHOPIFY")
HISTORY = timedelta(days=1500)


def add_profiles(shop: Shop, count: int) -> list[Customer]:
    """Add profiles, oldest first, and their push tokens and conversations; returns them as customers.

    Seven of ten are older than the period. `updated` is spread over the period, but every twentieth profile was
    updated in one and the same second, as after an import.
    """
    import_second = shop.moment(shop.start, shop.now)
    before = [shop.moment(shop.start - HISTORY, shop.start) for _ in range(-(-count * 7 // 10))]
    during = [shop.moment(shop.start, shop.now) for _ in range(count - len(before))]
    customers = []
    for number, created in enumerate(sorted(before + during)):
        old = created < shop.start - HISTORY * 0.97
        id = shop.short_id() if old else shop.ulid(created)
        updated = shop.moment(max(created, shop.start), shop.now)
        if number % 20 == 0 and created < import_second:
            updated = import_second
        person = _person(shop, number, created, updated)
        shop.add("profile", id, person)
        customers.append(Customer(id, int(created.timestamp()), person["email"], person["phone_number"]))
        if shop.chance(0.08):
            _add_push_token(shop, id, created)
        if shop.chance(0.02):
            shop.add("conversation", shop.ulid(created), {"channel": "sms"}, profile=id)
    return customers


def _person(shop: Shop, number: int, created: datetime, updated: datetime) -> dict[str, Any]:
    pick = shop.random.choice
    place, first_name, last_name = pick(PLACES), pick(FIRST_NAMES), pick(LAST_NAMES)
    email: str | None = f"{first_name[0].lower()}.{number}@{pick(MAIL_DOMAINS)}".encode("ascii", "ignore").decode()
    phone_number = f"+1617555{number % 10_000:04d}" if shop.chance(0.4) else None
    if number % 31 == 7:
        email, phone_number = None, phone_number or f"+4420{number:08d}"
    as_text = number % 25 == 3
    whole = number % 40 == 11
    latitude: float | str = str(place.latitude) if as_text else round(place.latitude) if whole else place.latitude
    longitude: float | str = str(place.longitude) if as_text else round(place.longitude) if whole else place.longitude
    return {
        "email": email,
        "phone_number": phone_number,
        "external_id": f"cust_{number}" if shop.chance(0.7) else None,
        "first_name": first_name,
        "last_name": last_name,
        "organization": "Tea House Ltd." if shop.chance(0.05) else None,
        "locale": place.locale,
        "title": "Dr." if shop.chance(0.03) else None,
        "image": None,
        **shop.stamps(created, updated),
        "last_event_date": None,
        "location": {
            "address1": f"{shop.random.randint(1, 400)} Main Street",
            "address2": None,
            "city": place.city,
            "country": place.country,
            "latitude": latitude,
            "longitude": longitude,
            "region": place.region,
            "zip": place.zip,
            "timezone": place.timezone,
            "ip": f"203.0.113.{number % 255}" if shop.chance(0.6) else None,
        }
        if number % 50 != 9
        else dict.fromkeys(
            ("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip")
        ),
        "properties": _properties(shop, number, created),
        "subscriptions": _subscriptions(shop, created, updated, has_phone=phone_number is not None),
        "predictive_analytics": _predictions(shop),
    }


def _properties(shop: Shop, number: int, created: datetime) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if shop.chance(0.6):
        properties["Shopify Tags"] = shop.random.sample(("vip", "wholesale", "newsletter", "gift"), 2)
        properties["Accepts Marketing"] = shop.chance(0.7)
    if shop.chance(0.5):
        properties["loyalty_points"] = shop.random.randrange(2000)
        properties["Favourite Tea"] = shop.random.choice(("green", "black", "herbal"))
    if shop.chance(0.4):
        properties["$consent_timestamp"] = created.isoformat(" ", "seconds")
        properties["$consent"] = ["email"]
    if shop.chance(0.3):
        properties["birthday"] = f"19{number % 50 + 50}-0{number % 9 + 1}-1{number % 10}"
    if number % 50 == 1:
        properties |= NASTY_PROFILE_PROPERTIES[number // 50 % len(NASTY_PROFILE_PROPERTIES)]
    return properties


def _subscriptions(shop: Shop, created: datetime, updated: datetime, *, has_phone: bool) -> dict[str, Any]:
    subscriptions = never_subscribed()
    chosen = shop.random.random()
    joined, changed = format_datetime(created), format_datetime(updated)
    exact = format_datetime(updated, microseconds=True)
    if chosen < 0.75:
        method = shop.random.choice(METHODS)
        subscriptions["email"]["marketing"] |= {
            "consent": "SUBSCRIBED",
            "consent_timestamp": joined,
            "last_updated": joined,
            "method": method,
            "method_detail": "UvW3xy" if method == "FORM" else None,
            "custom_method_detail": "Market stall" if method == "MANUAL_ADD" else None,
            "double_optin": shop.chance(0.5),
        }
    if 0.3 < chosen < 0.35:
        consent = "SUBSCRIBED" if chosen < 0.34 else "UNSUBSCRIBED"
        subscriptions["email"]["click_tracking"] |= {
            "can_receive": consent == "SUBSCRIBED",
            "consent": consent,
            "consent_timestamp": joined,
            "created_timestamp": joined,
            "last_updated": changed,
            "valid_until": format_datetime(updated + timedelta(days=730)) if chosen < 0.32 else None,
        }
    if chosen > 0.95 or chosen < 0.02:
        reason = REASONS[int(chosen * 10_000) % len(REASONS)]
        marketing = subscriptions["email"]["marketing"]
        marketing["can_receive_email_marketing"] = False
        marketing["suppression"] = [{"reason": reason, "timestamp": exact}]
        marketing["last_updated"] = changed
        if reason == "UNSUBSCRIBE":
            marketing["consent"] = "UNSUBSCRIBED"
    if has_phone and shop.chance(0.5):
        consent = "SUBSCRIBED" if shop.chance(0.85) else "UNSUBSCRIBED"
        for kind in ("marketing", "transactional"):
            subscriptions["sms"][kind] |= {
                f"can_receive_sms_{kind}": consent == "SUBSCRIBED",
                "consent": consent,
                "consent_timestamp": joined,
                "method": "CHECKOUT",
                "last_updated": joined,
            }
        if shop.chance(0.05):
            subscriptions["whatsapp"] = {
                kind: {
                    "consent": consent,
                    "consent_timestamp": joined,
                    "last_updated": joined,
                    "created_timestamp": joined,
                    "metadata": None,
                    "can_receive": consent == "SUBSCRIBED",
                    "valid_until": None,
                    "phone_number": None,
                }
                for kind in ("marketing", "transactional", "conversational")
            }
    if shop.chance(0.1):
        push = {"can_receive_push_marketing": True, "consent": "SUBSCRIBED", "consent_timestamp": joined}
        subscriptions["mobile_push"]["marketing"] = push
    return subscriptions


def _predictions(shop: Shop) -> dict[str, Any]:
    predictions = no_predictions()
    if shop.chance(0.3):
        orders, value = shop.random.randint(3, 30), round(shop.random.uniform(15, 140), 2)
        next_order = shop.now + timedelta(days=shop.random.randint(1, 90))
        predictions |= {
            "historic_number_of_orders": orders,
            "predicted_number_of_orders": round(shop.random.random() * 4, 2),
            "average_days_between_orders": round(shop.random.uniform(5, 120), 1),
            "average_order_value": value,
            "historic_clv": round(orders * value, 2),
            "predicted_clv": round(value * 1.5, 2),
            "total_clv": round(orders * value + value * 1.5, 2),
            "churn_probability": round(shop.random.random(), 3),
            "expected_date_of_next_order": next_order.strftime("%Y-%m-%dT00:00:00"),
            "ranked_channel_affinity": shop.random.sample(("email", "sms", "push"), 2),
        }
    return predictions


def _add_push_token(shop: Shop, profile: str, created: datetime) -> None:
    android = shop.chance(0.5)
    attributes = {
        "created": format_datetime(created),
        "token": f"{'fcm' if android else 'apns'}:{shop.random.getrandbits(64):x}",
        "enablement_status": shop.random.choice(("AUTHORIZED", "AUTHORIZED", "DENIED", "NOT_DETERMINED")),
        "platform": "android" if android else "ios",
        "vendor": "FCM" if android else "APNs",
        "background": "AVAILABLE",
        "recorded_date": format_datetime(shop.moment(created, shop.now)),
        "metadata": {
            "device_id": f"d-{shop.random.getrandbits(32)}",
            "klaviyo_sdk": "android" if android else "swift",
            "sdk_version": "3.1.0",
            "device_model": "Pixel 9" if android else "iPhone17,1",
            "os_name": "android" if android else "ios",
            "os_version": "16",
            "manufacturer": "Google" if android else "Apple",
            "app_name": "Acme Tea",
            "app_version": "2.0",
            "app_build": "200",
            "app_id": "example.acme.tea",
            "environment": "release",
        },
    }
    shop.add("push-token", f"{shop.random.getrandbits(32):08x}", attributes, profile=profile)
