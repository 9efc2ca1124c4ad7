"""A simulated Klaviyo account: the shop "Acme Tea", its people, its messages and what came of them."""

from __future__ import annotations

from datetime import UTC, datetime

from klaviyo_assets.sandbox.account import Account, Clock, format_datetime
from klaviyo_assets.sandbox.shop.brand import add_brand
from klaviyo_assets.sandbox.shop.campaigns import add_campaigns, add_templates, deleted_campaign, old_campaign
from klaviyo_assets.sandbox.shop.canvas import add_canvas_campaigns
from klaviyo_assets.sandbox.shop.catalog import add_catalog, add_coupons, add_forms, add_reviews, add_shop
from klaviyo_assets.sandbox.shop.events import Late
from klaviyo_assets.sandbox.shop.flows import add_flows
from klaviyo_assets.sandbox.shop.groups import add_lists_and_segments, add_tags
from klaviyo_assets.sandbox.shop.metrics import add_metrics
from klaviyo_assets.sandbox.shop.profiles import add_profiles
from klaviyo_assets.sandbox.shop.shop import Shop
from klaviyo_assets.sandbox.shop.stories import Stories, rare_events


def burst_size(events: int) -> int:
    """How many of so many events lie in the busiest second, at least."""
    return max(1000, events // 20) if events >= 20_000 else events // 20


def generate_account(
    *,
    events: int = 50_000,
    profiles: int = 5_000,
    days: int = 90,
    seed: int = 1,
    now: datetime | None = None,
    late: Late = "normal",
) -> Account:
    """A Klaviyo account with exactly so many events and profiles, and some of every other object.

    The events spread over the `days` before `now` (aware; the current time by default), which is also where the
    account's clock starts. The same arguments, `now` included, give the same account. Events become visible 5 to 60
    seconds after they happened, and attributed 5 minutes to 3 hours after that, but all of them by `now`. With
    `late="hard"` one in a hundred becomes visible only five days late, one in a hundred is dated back by 400 days,
    and one in a thousand lies up to 30 days in the future.

    In one second of the period `burst_size(events)` events happen at least (with `late="hard"`: nearly). About one
    event in a hundred and one profile in fifty have properties that software breaks on.

    Raises `ValueError` for a naive `now`, for no days, and for events without a profile.
    """
    if now is not None and now.tzinfo is None:
        raise ValueError(f"now needs a time zone, got {now!r}")
    if days < 1 or events < 0 or profiles < 0 or (events and not profiles):
        raise ValueError(f"no account has {events} events and {profiles} profiles in {days} days")
    account = Account(Clock(now))
    shop = Shop(account, now=(now or datetime.now(UTC)).astimezone(UTC), days=days, seed=seed)
    add_shop(shop)
    products = add_catalog(shop)
    metrics = add_metrics(shop)
    customers = add_profiles(shop, profiles)
    tags = add_tags(shop)
    lists, segments = add_lists_and_segments(shop, metrics, tags)
    groups = lists | segments
    templates = add_templates(shop)
    messages = add_campaigns(shop, list(groups.values()), tags)
    flows = add_flows(shop, metrics, groups, tags, templates)
    add_coupons(shop, customers)
    add_forms(shop)
    add_reviews(shop, products, customers)

    former = add_profiles(shop, -(-profiles // 200))
    stories = Stories(shop, customers, former, metrics, products, events=events, late=late)
    seldom = rare_events(old_campaign(shop), deleted_campaign())
    stories.run(messages, flows, seldom, burst_size(events))
    add_canvas_campaigns(shop, list(groups.values()), tags)  # last, so that the rest is the same without them
    add_brand(shop)
    for customer in former:
        account.delete("profile", customer.id)
    for profile in account.all("profile"):
        if profile.id in stories.last_event:
            last = datetime.fromtimestamp(stories.last_event[profile.id], UTC)
            profile.attributes["last_event_date"] = format_datetime(last)
    return account
