"""Many accounts on many machines: Celery's workers, Dagster's storage and the warehouse on Postgres, and kills.

Machines are killed, stopped for a while, and cut off from the broker, at random; what they were running is launched
again on another one, as the schedule would, and in the end every account's tables are what they have to be.
"""

from __future__ import annotations

import datetime as dt
import random
import signal
from pathlib import Path

import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.models.assets import models_schema
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.tables.registry import table
from klaviyo_assets_tests.conftest import narrowed, only, without_campaigns
from klaviyo_assets_tests.expected import TABLES as EXPECTED
from klaviyo_assets_tests.expected import differences
from klaviyo_assets_tests.faults import machines
from klaviyo_assets_tests.faults.cluster import SPREAD, Cluster, Coordinator, Shop, cluster, shops

ACCOUNTS = 8
TABLES = ("event", "person", "metric", "list", "segment")
MODELLED = (*TABLES, "campaign", "campaign_message", "flow")
"""Tables of the account that has models."""

DAYS = 5
CUT = 60.0
PATIENCE = 900.0


def account(number: int) -> Account:
    made = narrowed(generate_account(events=150 + 50 * number, profiles=30, days=DAYS, seed=number + 1))
    return made if number == 0 else without_campaigns(made)


def days(first: int) -> dict[str, str]:
    today = dt.datetime.now(dt.UTC).date()
    return {RANGE_START: (today - dt.timedelta(days=first)).isoformat(), RANGE_END: today.isoformat()}


def jobs(shop: Shop, hour: int) -> list[tuple[str, dict[str, str]]]:
    """What is run for an account: a sync, at first of two days, and then the history; and its models."""
    syncs = [("sync", days(0))] if hour else [("sync", days(1)), ("backfill", days(DAYS))]
    return [*syncs, ("models_job", {})] if shop.settings.models and hour != 1 else syncs


def survive(seed: int, folder: Path) -> None:
    """Run everything on two machines, of which one is cut off and some die or stand still for a while; look."""
    chance = random.Random(seed)
    modelled = {"models": True, "model_variables": {"klaviyo__marts": False}, "tables": only(*MODELLED)}
    settings = [{"tables": only(*TABLES)} for _ in range(ACCOUNTS)]
    settings[0] = modelled
    if seed % 3 == 0:
        settings[-1] |= SPREAD
    accounts = [(account(number), own) for number, own in enumerate(settings)]
    with shops(folder, accounts) as made, cluster(folder, made) as machines_:
        machines_.start(), machines_.start()
        coordinator = machines_.coordinator(made)
        for hour in range(3):
            for shop in made if hour else ():
                change(shop.account, chance, f"{seed} {hour}")
            coordinator.begin({shop.name: jobs(shop, hour) for shop in made}, at_once=4)
            coordinator.wait(chance.uniform(2, 15))
            if hour == 0:
                chance.choice(machines_.workers).relay.cut(CUT, refuse=chance.random() < 0.5)
                coordinator.wait(chance.uniform(2, 15))
            strike(machines_, chance, coordinator)
            assert coordinator.wait(PATIENCE) and coordinator.succeeded(), (seed, machines_.told())
        assert [problem for shop in made for problem in wrong(shop)] == [], (seed, machines_.told())
        for shop in made:
            refused = sum(request.status == 429 for request in shop.sandbox.requests)
            assert refused < 0.01 * len(shop.sandbox.requests), (seed, shop.name, refused, len(shop.sandbox.requests))


def strike(cluster: Cluster, chance: random.Random, coordinator: Coordinator) -> None:
    """Kill a machine and start another one, or stop one for longer than a run may be silent."""
    worker = chance.choice([worker for worker in cluster.workers if worker.is_alive])
    if chance.random() < 0.7:
        worker.signal(signal.SIGKILL)
        cluster.start()
        return
    worker.signal(signal.SIGSTOP)
    coordinator.wait(machines.SILENCE + 10)
    worker.signal(signal.SIGCONT)


def change(account: Account, chance: random.Random, told: str) -> None:
    """What happens in a shop in an hour: events, of which one shows late, a profile, and lists, of which one goes."""
    now = account.clock.now()
    profiles, metrics = account.all("profile"), account.all("metric")
    for minutes in (0, 1, 100):
        properties = {"told": told, f"In {told}": minutes}
        moment = now - dt.timedelta(minutes=minutes)
        profile = chance.choice(profiles).id
        account.add_event(chance.choice(metrics).id, moment, profile_id=profile, properties=properties)
    account.update("profile", chance.choice(profiles).id, first_name=f"Changed {told}")
    renamed, deleted = chance.sample(account.all("list"), 2)
    account.rename("list", renamed.id, f"Renamed {told}")
    account.delete("list", deleted.id)


def wrong(shop: Shop) -> list[str]:
    """What is wrong with an account's tables and models, in words."""
    warehouse, settings = warehouse_of(shop.settings), shop.settings
    problems = [
        problem
        for name in (MODELLED if settings.models else TABLES)
        for problem in differences(shop.account, warehouse, name, table(name).primary_key)
    ]
    if settings.models:
        for name in ("event", "person"):
            model = f"{models_schema(settings)}.klaviyo__{name}s"
            found = [id for (id,) in warehouse.query(f"SELECT {name}_id FROM {model}")]
            if sorted(found) != sorted(id for (id,) in EXPECTED[name](shop.account)):
                problems.append(f"{model} has {len(found)} rows, and not those of the account")
    return [f"{shop.name}: {problem}" for problem in problems]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(30))
def test_a_killed_machine_costs_nothing_but_time(seed: int, tmp_path: Path) -> None:
    survive(seed, tmp_path)
