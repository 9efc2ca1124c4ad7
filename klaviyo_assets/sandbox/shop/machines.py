"""Machines that read emails before people do: Apple opens them, the filters of companies follow their links."""

from __future__ import annotations

from random import Random

from klaviyo_assets.sandbox.account import Account

APPLE = {
    "Client Type": "email client",
    "Client OS": "iOS",
    "Client OS Family": "iOS",
    "Client Name": "Apple Mail",
    "Client Canonical": "Apple Mail",
    "machine_open": True,
}
FILTER = {"Client Type": "bot", "Client Name": "Mail Filter", "Bot Click": True}


def add_machines(account: Account, *, opens: float = 0.3, clicks: float = 0.1, seed: int = 1) -> None:
    """Have these shares of all received emails be opened, and clicked, by machines within two minutes."""
    random = Random(seed)
    ids = {metric.attributes["name"]: metric.id for metric in account.all("metric")}
    received = [event for event in account.events if event.metric_id == ids["Received Email"]]
    for event in received:
        for metric, share, machine in (("Opened Email", opens, APPLE), ("Clicked Email", clicks, FILTER)):
            if random.random() < share:
                after = random.randint(1, 120)
                account.add_event(
                    ids[metric],
                    event.occurred_at + after,
                    profile_id=event.profile_id,
                    properties={**event.properties, **machine},
                    visible_at=event.visible_at + after,
                )
