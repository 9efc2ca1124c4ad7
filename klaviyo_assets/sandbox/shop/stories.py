"""What people do in the simulated account, as stories: a message arrives, is opened, and leads to an order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from klaviyo_assets.sandbox.shop.catalog import Product
from klaviyo_assets.sandbox.shop.events import DAY, HOUR, MINUTE, SETTLED, Credit, EventWriter, Late
from klaviyo_assets.sandbox.shop.metrics import DELETED, MISSING
from klaviyo_assets.sandbox.shop.shop import Customer, Flow, Message, Shop
from klaviyo_assets.sandbox.shop.words import CLIENTS, INBOX_PROVIDERS

Rare = tuple[str, dict[str, Any]]
"""The metric and the properties of an event that stands alone."""


class Stories(EventWriter):
    """Tells stories until no event is left; one ends early when it reaches the present.

    `customers` are sorted by creation; `former` ones still come, until they are deleted.
    """

    def __init__(
        self,
        shop: Shop,
        customers: Sequence[Customer],
        former: Sequence[Customer],
        metrics: Mapping[str, str | None],
        products: Sequence[Product],
        *,
        events: int,
        late: Late,
    ) -> None:
        super().__init__(shop, metrics, events=events, late=late)
        self.customers = customers
        self.created = [customer.created for customer in customers]
        self.former = former
        self.products = products
        self.first = int(shop.start.timestamp()) + 1
        self.order = 1000

    # Who and when

    def moment(self) -> int:
        """A random second of the period."""
        return self.first + int(self.random() * (self.now - self.first))

    def someone(self, at: int) -> Customer:
        """A customer who was known at a time; some come far more often than others."""
        known = bisect_right(self.created, at)
        return self.customers[int(known * self.random() ** 1.5)]

    def soon(self, at: int, mean: float) -> int:
        """A second after `at`, by `mean` seconds on average."""
        return at + 1 + int(self.shop.random.expovariate(1 / mean))

    # Messages

    def campaign(self, message: Message, recipients: Sequence[Customer], per_second: int) -> None:
        """Send a message to many; `per_second` of them receive it in one second."""
        sent_at = message.sent_at or self.first
        for number, customer in enumerate(recipients):
            self.receive(message, customer, sent_at + number // per_second, sent_at)

    def receive(self, message: Message, customer: Customer, at: int, cohort: int) -> None:
        """A message arrives, or not; perhaps it is opened, clicked, and leads to a visit or a farewell."""
        properties = self._about(message, customer, at, cohort)
        {"email": self._receive_email, "sms": self._receive_text}.get(message.channel, self._receive_push)(
            message, customer, at, properties
        )

    def _receive_email(self, message: Message, customer: Customer, at: int, properties: dict[str, Any]) -> None:
        chosen = self.random()
        if chosen < 0.012:
            kind = "Bounced Email" if chosen < 0.008 else "Dropped Email"
            self.emit(kind, at, customer, {**properties, "Bounce Type": "Hard" if chosen < 0.004 else "Soft"})
            return
        if not self.emit("Received Email", at, customer, properties) or self.random() > 0.38:
            return
        client = CLIENTS[int(self.random() * len(CLIENTS))]
        seen = {**properties, **client, "machine_open": client["Client OS"] == "iOS"}
        at = self.soon(at, 4 * HOUR)
        opened = self.emit("Opened Email", at, customer, seen)
        if not opened:
            return
        chosen = self.random()
        if chosen < 0.22:
            product = self.product()
            at = self.soon(at, 3 * MINUTE)
            url = f"{product.url}?utm_source=klaviyo&utm_medium=email"
            clicked = self.emit("Clicked Email", at, customer, {**properties, **client, "URL": url})
            if clicked:
                self.visit(customer, self.soon(at, MINUTE), (clicked, message), eager=0.3)
        elif chosen < 0.24:
            farewell = {**properties, "List": "Newsletter", "Method": "Preference Page"}
            ways = ("Unsubscribed", "Unsubscribed from List", "Updated Email Preferences", "Marked Email as Spam")
            self.emit(ways[int(self.random() * 4)], self.soon(at, 5 * MINUTE), customer, farewell)
        elif chosen < 0.26:
            self.visit(customer, self.soon(at, HOUR), (opened, message), eager=0.6)

    def _receive_text(self, message: Message, customer: Customer, at: int, properties: dict[str, Any]) -> None:
        number = {"To Number": customer.phone_number, "To Phone Region": "US", "Message Type": "marketing"}
        properties = {**properties, **number}
        if not self.emit("Sent Text Message", at, customer, properties):
            return
        if self.random() < 0.03:
            failure = {"Failure Type": "carrier", "Failure Source": "30003"}
            self.emit("Failed to Deliver Text Message", at + 2, customer, {**properties, **failure})
            return
        self.emit("Received Text Message", at + 2, customer, properties)
        chosen = self.random()
        if chosen < 0.12:
            at = self.soon(at, HOUR)
            clicked = self.emit("Clicked Text Message", at, customer, {**properties, "URL": self.product().url})
            if clicked:
                self.visit(customer, self.soon(at, MINUTE), (clicked, message), eager=0.3)
        elif chosen < 0.14:
            self.emit("Unsubscribed from Text Messaging Marketing", self.soon(at, HOUR), customer, number)

    def _receive_push(self, message: Message, customer: Customer, at: int, properties: dict[str, Any]) -> None:
        device = {"$push_token_platform": "ios", "App Name": "Acme Tea", "App Version": "2.0"}
        if self.random() < 0.03:
            self.emit("Bounced Push", at, customer, {**properties, **device})
        elif self.emit("Received Push", at, customer, {**properties, **device}) and self.random() < 0.1:
            at = self.soon(at, HOUR)
            opened = self.emit("Opened Push", at, customer, {**properties, **device})
            if opened:
                self.visit(customer, self.soon(at, MINUTE), (opened, message), eager=0.3)

    def _about(self, message: Message, customer: Customer, at: int, cohort: int) -> dict[str, Any]:
        """Properties of an event about a message."""
        sent = message.properties
        properties = dict(sent)
        touch = sent.get("$message")
        if touch is not None:
            properties["$event_id"] = f"{touch}:{self.shop.random.getrandbits(128)}:{at}"
        if "$flow" in sent:
            hour = cohort // HOUR * HOUR
            properties["$_cohort$message_send_cohort"] = f"{hour}:{touch}"
            properties["$_cohort$variation_send_cohort"] = f"{hour}:{sent['$variation']}"
        if message.channel == "email" and customer.email:
            domain = customer.email.rpartition("@")[2]
            properties["Email Domain"] = domain
            properties["Inbox Provider"] = INBOX_PROVIDERS.get(domain, "Other")
        return properties

    def flow(self, flow: Flow, at: int, customer: Customer) -> None:
        """Something starts a flow, whose messages follow; an experiment sends one of its variations."""
        if flow.trigger == "Viewed Product":
            started = self.emit(flow.trigger, at, customer, self._viewed(at))
        elif flow.trigger in self.metrics:
            started = self.emit(flow.trigger, at, customer, self._order()[0])
        else:
            started = self.emit("Subscribed to List", at, customer, {"List": flow.trigger, "$source": "form"})
        tested = [message for message in flow.messages if "flow-message-variation" in message.credit]
        for message in flow.messages:
            varied = any(other.credit["flow-message"] == message.credit["flow-message"] for other in tested)
            if varied and (message in tested) != (self.random() < 0.5):
                continue
            at = self.soon(at, 3 * HOUR)
            if not started or at > self.now - SETTLED:
                return
            self.receive(message, customer, at, at)

    # The shop

    def product(self) -> Product:
        """A product; some sell better than others."""
        return self.products[int(len(self.products) * self.random() ** 2)]

    def visit(self, customer: Customer, at: int, credit: Credit | None = None, *, eager: float = 0.08) -> None:
        """Someone looks around in the shop and, with the probability `eager`, buys."""
        page = self.product()
        active = {"$event_id": str(at), "page": page.url, "browser": "Chrome", "os": "Mac OS X",
                  "$is_session_activity": True, "$session_end": False, "$use_ip": True}  # fmt: skip
        if not self.emit("Active on Site", at, customer, active):
            return
        for _ in range(1 + int(self.random() * 2.5)):
            at = self.soon(at, MINUTE)
            if not self.emit("Viewed Product", at, customer, self._viewed(at), credit):
                return
        if self.random() > eager * 2:
            return
        at = self.soon(at, MINUTE)
        added = {"Added Item": page.title, "$value": page.price, "Item Names": [page.title], "Cart URL": "/cart"}
        if self.emit("Added to Cart", at, customer, added, credit) and self.random() < 0.5:
            self.buy(customer, self.soon(at, 2 * MINUTE), credit)

    def buy(self, customer: Customer, at: int, credit: Credit | None) -> None:
        """Someone orders; it is delivered, cancelled or sent back, days later."""
        order, items = self._order()
        if not self.emit("Checkout Started", at, customer, order, credit):
            return
        at = self.soon(at, 3 * MINUTE)
        if not self.emit("Placed Order", at, customer, order, credit):
            return
        for item in items:
            self.emit("Ordered Product", at, customer, item, credit)
        chosen = self.random()
        if chosen < 0.04:
            self.emit("Cancelled Order", self.soon(at, HOUR), customer, {**order, "Reason": "customer"})
            return
        at = self.soon(at, DAY)
        self.emit("Fulfilled Partial Order" if chosen < 0.1 else "Fulfilled Order", at, customer, order)
        self.emit("Confirmed Shipment", at + HOUR, customer, order)
        self.emit("Delivered Shipment", self.soon(at, 3 * DAY), customer, order)
        if chosen > 0.95:
            self.emit("Refunded Order", self.soon(at, 5 * DAY), customer, {**order, "Reason": "broken cup"})

    def _viewed(self, at: int) -> dict[str, Any]:
        page = self.product()
        return {
            "Product Name": page.title,
            "Product ID": page.sku,
            "SKU": page.sku,
            "Categories": [page.category],
            "Image URL": f"{page.url}.png",
            "URL": page.url,
            "Brand": "Acme Tea",
            "Price": page.price,
            "Compare At Price": round(page.price * 1.2, 2),
            "$event_id": f"{page.sku}:{at}",
        }

    def _order(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The properties of a new order, and those of its items."""
        self.order += 1
        lines, items = [], []
        total = 0.0
        for _ in range(1 + int(self.random() ** 2 * 4)):
            product, quantity = self.product(), 1 + int(self.random() ** 3 * 3)
            price = f"{product.price:.2f}"
            lines.append({"sku": product.sku, "title": product.title, "quantity": quantity, "price": price})
            items.append({"Name": product.title, "SKU": product.sku, "$value": product.price, "Quantity": quantity})
            total += product.price * quantity
        names = [line["title"] for line in lines]
        id = str(5_500_000 + self.order)
        for item in items:
            item["$event_id"] = f"{id}:{item['SKU']}"
        order = {
            "$event_id": id,
            "$value": round(total, 2),
            "$value_currency": "USD",
            "Items": names,
            "Item Count": len(names),
            "Collections": [],
            "Discount Codes": ["WELCOME10"] if self.random() < 0.2 else [],
            "Source Name": "web",
            "$extra": {"line_items": lines, "order_number": self.order, "note": None, "tags": "", "confirmed": True},
        }
        return order, items

    # All together

    def run(self, messages: Sequence[Message], flows: Sequence[Flow], seldom: Sequence[Rare], burst: int) -> None:
        """Tell stories until no event is left: first the campaigns' messages, then the rest.

        About half of the events come from campaigns. One email reaches `burst` people in one second; where there are
        fewer people, it reaches them more than once.
        """
        emails = [message for message in messages if message.channel == "email"]
        busiest = emails[len(emails) // 2] if emails else None
        each = max(self.left // 4 // max(len(messages), 1), 1)
        for message in messages:
            known = bisect_right(self.created, message.sent_at or self.first)
            if message is busiest:
                numbers, per_second = [number % known for number in range(burst)], max(burst, 1)
            else:
                numbers, per_second = self.shop.random.sample(range(known), min(each, known)), max(each // 20, 1)
            self.campaign(message, [self.customers[number] for number in numbers], per_second)
        rare = cycle(seldom)
        while self.left:
            at = self.moment()
            customer = self.someone(at)
            chosen = self.random()
            if chosen < 0.28 and flows:
                self.flow(flows[int(self.random() * len(flows))], at, customer)
            elif chosen < 0.36:
                metric, properties = next(rare)
                self.emit(metric, at, customer, {**properties, "$event_id": f"{metric}:{at}"})
            elif chosen < 0.38 and self.former:
                guest = self.former[int(self.random() * len(self.former))]
                self.visit(guest, max(at, guest.created))
            else:
                self.visit(customer, at)


def rare_events(old: Message, deleted: Message) -> list[Rare]:
    """Events that no story tells: consents, other integrations, old campaigns, deleted campaigns and metrics."""
    opened = {**CLIENTS[0], "machine_open": False, "Email Domain": "example.com"}
    return [
        ("Subscribed to Email Marketing", {"Method": "FORM", "Custom Source": None}),
        ("Unsubscribed from Email Marketing", {"Method": "PREFERENCE_PAGE"}),
        ("Subscribed to Text Messaging Marketing", {"Method": "CHECKOUT", "From Number": "+18335550100"}),
        ("Subscribed to List", {"List": "Tea School", "$source": "api"}),
        ("Form submitted by profile", {"form_id": "UvW3xy", "Form Name": "Popup 1"}),
        ("Tea Tasting Booked", {"Tasting": "Pu-erh evening", "Seats": 2, "When": "2026-05-01T19:00:00", "Paid": True}),
        ("Placed Order (API)", {"$value": 12, "Channel": "market stall"}),
        ("Submitted Review", {"Rating": 5, "Review": "Lovely", "Product": "Sencha 100g"}),
        ("Loyalty Points Earned", {"Points": 40, "Balance": 410}),
        ("Opened Email", {**old.properties, **opened}),
        ("Opened Email", {**deleted.properties, **opened}),
        ("Received Email", deleted.properties),
        (DELETED, {"note": "of a metric that does not exist"}),
        (MISSING, {"note": "of no metric"}),
    ]
