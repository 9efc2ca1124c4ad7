"""What the simulated shop sells and shows: catalog, coupons, reviews, forms, images and the account itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from klaviyo_assets.sandbox.account import format_datetime
from klaviyo_assets.sandbox.shop.shop import URL, Customer, Shop
from klaviyo_assets.sandbox.shop.words import CATEGORIES, FIRST_NAMES, TEAS, WARES

CATALOG = "$custom:::$default:::"
REVIEW_STATUS = (
    {"value": "published"},
    {"value": "featured"},
    {"value": "pending"},
    {"value": "unpublished"},
    {"value": "rejected", "rejection_reason": {"reason": "fake"}},
    {"value": "rejected", "rejection_reason": {"reason": "other", "status_explanation": "about another shop"}},
)
CODE_STATUS = ("UNASSIGNED", "ASSIGNED_TO_PROFILE", "USED", "PROCESSING", "VERSION_NOT_ACTIVE", "DELETING")


class Product(NamedTuple):
    """An item of the catalog, as the events of the shop show it."""

    sku: str
    title: str
    price: float
    category: str

    @property
    def url(self) -> str:
        """Its page."""
        return f"{URL}/products/{self.sku.lower()}"


def add_shop(shop: Shop) -> None:
    """Add the account, its tracking settings and its usage, images, universal content, web feeds and webhooks."""
    shop.account.advanced_kdp = True
    contact = {
        "default_sender_name": "Acme Tea",
        "default_sender_email": "hello@acme.example",
        "website_url": URL,
        "organization_name": "Acme Tea",
        "street_address": {
            "address1": "1 Main St",
            "address2": "",
            "city": "Boston",
            "region": "MA",
            "country": "United States",
            "zip": "02111",
        },
    }
    account = {
        "test_account": False,
        "contact_information": contact,
        "industry": "Food & Drink",
        "timezone": "US/Eastern",
        "preferred_currency": "USD",
        "public_api_key": "Xy9zAB",
        "locale": "en-US",
    }
    shop.add("account", "Xy9zAB", account)
    static, dynamic = {"type": "static", "value": "klaviyo"}, {"type": "dynamic", "value": "message_type"}
    nothing = {"flow": None, "campaign": None}
    tracking = {
        "auto_add_parameters": True,
        "utm_source": {"flow": {"type": "dynamic", "value": "message_name"}, "campaign": static},
        "utm_medium": {"flow": dynamic, "campaign": dynamic},
        **dict.fromkeys(("utm_campaign", "utm_id", "utm_term"), nothing),
        "custom_parameters": [],
    }
    shop.add("tracking-setting", "Xy9zAB", tracking)

    month = shop.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = {
        "period_start": format_datetime(month),
        "period_end": format_datetime((month + timedelta(days=31)).replace(day=1)),
        "as_of": format_datetime(shop.now),
    }
    for id, unit, used, limit in (
        ("email_sends", "messages", 18_250, 250_000),
        ("sms_credits", "credits", 1_204.1875, 5_000),
        ("active_profiles", "profiles", 2_000, 25_000),
    ):
        shop.add("billing-usage", id, {"usage_used": used, "usage_max": limit, "unit": unit, **period})

    old = shop.start - timedelta(days=200)
    for number in range(45):
        format = ("png", "jpeg", "gif")[number % 3]
        image = {
            "name": f"tea {number}",
            "image_url": f"https://images.acme.example/company/Xy9zAB/images/{number}.{format}",
            "format": format,
            "size": 40_000 + number * 1000,
            "hidden": number % 8 == 5,
            "updated_at": format_datetime(shop.moment(old, shop.now)),
        }
        shop.add("image", str(2_081_049 + number), image)
    for number in range(4):
        display = {"show_on": "all", "visible_check": None}
        data = {"content": f"<p>Footer {number}</p>", "styles": {}, "display_options": display}
        content = {
            "name": f"Footer {number}",
            "definition": {"content_type": "block", "type": "text", "data": data},
            **shop.stamps(old),
            "screenshot_status": "completed",
            "screenshot_url": f"https://images.acme.example/footer-{number}.png",
        }
        shop.add("template-universal-content", shop.ulid(old), content)
    for number in range(7):
        feed = {
            "name": f"feed {number}",
            "url": f"{URL}/feeds/{number}.json",
            "request_method": "post" if number == 3 else "get",
            "content_type": "xml" if number == 5 else "json",
            **shop.stamps(old + timedelta(days=number)),
            "status": None if number % 2 else "ok",
        }
        shop.add("web-feed", f"{shop.random.getrandbits(48):012x}", feed)
    for topic in ("event:klaviyo.sent_sms", "event:klaviyo.opened_email"):
        shop.add("webhook-topic", topic, {})
    hook = {"name": "Text message hook", "description": None, "endpoint_url": f"{URL}/hook", "enabled": True}
    shop.add("webhook", shop.ulid(old), {**hook, **shop.stamps_at(old)}, webhook_topics=["event:klaviyo.sent_sms"])


def add_catalog(shop: Shop) -> list[Product]:
    """Add catalog categories, items and variants; returns the items."""
    old = shop.start - timedelta(days=500)
    products = []
    for number, title in enumerate(
        [f"{tea} {size}" for tea in TEAS for size in ("50g", "100g", "250g", "1kg")] + [*WARES]
    ):
        sku = f"{title[:3].upper().replace(' ', '')}-{number:03d}"
        category = CATEGORIES[number % 4] if number < len(TEAS) * 4 else CATEGORIES[4 + number % 2]
        product = Product(sku, title, round(4 + number * 7.35 % 90, 2), category)
        stamps = shop.stamps(old + timedelta(hours=number, milliseconds=437), type="catalog-item")
        looks = {
            "external_id": sku,
            "title": title,
            "description": f"{title}, fresh" if number % 3 else "",
            "price": product.price,
            "url": product.url,
            "image_full_url": f"{URL}/i/{number}.png",
            "image_thumbnail_url": None if number % 2 else f"{URL}/t/{number}.png",
            "images": [f"{URL}/i/{number}-{n}.png" for n in range(number % 3)],
            "custom_metadata": {"origin": "TW", "weightKg": 0.1} if number % 2 else {},
            "published": number % 11 != 7,
            **stamps,
        }
        shop.add("catalog-item", CATALOG + sku, looks)
        for size in range(1 + number % 3):
            variant = {
                **looks,
                "external_id": f"{sku}-V{size}",
                "title": f"{title} tin {size}",
                "sku": f"{sku}-V{size}",
                "inventory_policy": number % 3,
                "inventory_quantity": number * 3 + size,
            }
            shop.add("catalog-variant", f"{CATALOG}{sku}-V{size}", variant, item=CATALOG + sku)
        products.append(product)
    for category in CATEGORIES:
        key = category.split()[0].upper()
        items = [CATALOG + product.sku for product in products if product.category == category]
        updated = shop.stamps(old, type="catalog-category")["updated"]
        shop.add(
            "catalog-category",
            CATALOG + key,
            {"external_id": key, "name": category, "updated": updated},
            items=items,
        )
    return products


def add_coupons(shop: Shop, customers: Sequence[Customer]) -> list[str]:
    """Add coupons and their codes, some assigned to profiles; returns the coupons' ids."""
    coupons = ("10OFF", "WELCOME10", "FREESHIP", "EMPTY")
    for coupon, codes in zip(coupons, (230, 40, 10, 0), strict=True):
        assigner = {"used": "NEVER_ASSIGN", "unused_expired": "ALWAYS_ASSIGN"} if codes > 10 else None
        attributes = {"external_id": coupon, "description": f"Coupon {coupon}" if codes else None}
        shop.add("coupon", coupon, {**attributes, "monitor_configuration": None, "assigner_configuration": assigner})
        for number in range(codes):
            code = f"{shop.random.getrandbits(60):X}"
            status = CODE_STATUS[number % 6 if number < 60 else 0]
            owner = status in ("ASSIGNED_TO_PROFILE", "USED") and customers
            expires = None if number % 10 == 9 else format_datetime(shop.now + timedelta(days=number - 20))
            shop.add(
                "coupon-code",
                f"{coupon}-{code}",
                {"unique_code": code, "expires_at": expires, "status": status},
                coupon=coupon,
                profile=shop.random.choice(customers).id if owner else None,
            )
    return list(coupons)


def add_forms(shop: Shop) -> None:
    """Add forms with their versions."""
    old = shop.start - timedelta(days=300)
    for number in range(23):
        testing = number % 5 == 2
        created = old + timedelta(days=number - number % 2)
        status = "draft" if number % 4 == 3 else "live"
        form = shop.short_id()
        attributes = {"name": f"Popup {number}", "status": status, "ab_test": testing, "definition": {"versions": []}}
        shop.add("form", form, {**attributes, **shop.stamps_at(created)})
        for letter in "AB" if testing else "A":
            version = {
                "form_type": ("popup", "flyout", "embed", "full_page", "banner")[number % 5],
                "variation_name": f"Variation {letter}",
                "ab_test": {"variation_name": f"Variation {letter}"} if testing else None,
                "status": status,
                **shop.stamps_at(created),
            }
            shop.add("form-version", shop.decimal(), version, form=form)


def add_reviews(shop: Shop, products: Sequence[Product], customers: Sequence[Customer]) -> None:
    """Add reviews, ratings and questions."""
    for number in range(60 if customers else 0):
        product, customer = shop.random.choice(products), shop.random.choice(customers)
        question = number % 12 == 7
        created = shop.moment(shop.start, shop.now)
        reply = {"content": "Thank you!", "author": "Acme Tea", "updated": format_datetime(created)}
        review = {
            "email": customer.email,
            "status": REVIEW_STATUS[number % 6 if number % 2 else 0],
            "verified": number % 3 != 0,
            "review_type": "question" if question else "store" if number % 12 == 5 else "review",
            **shop.stamps(created),
            "images": [f"{URL}/r/{number}.jpg"] if number % 9 == 0 else [],
            "product": {
                "url": product.url,
                "name": product.title,
                "image_url": None,
                "external_id": product.sku,
            },
            "rating": None if question else number % 5 + 1,
            "author": shop.random.choice(FIRST_NAMES),
            "content": "How long does it steep?" if question else "Lovely 🍵",
            "title": None if question else "Great",
            "smart_quote": None,
            "public_reply": reply if number % 5 == 0 else None,
        }
        id = f"{shop.random.getrandbits(128):032x}"
        shop.add("review", id, review, item=CATALOG + product.sku, events=[])
