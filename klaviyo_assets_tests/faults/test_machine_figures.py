"""What a worker with one run at a time does in an hour, and what another one adds: hourly syncs of eight accounts, with
nothing new.

`pytest -m soak -s` on this file prints what docs/scale.md says of it.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import narrowed, only
from klaviyo_assets_tests.faults.cluster import Coordinator, Shop, Worker, cluster, shops
from klaviyo_assets_tests.warehouse.databases import postgres_server

ACCOUNTS = 8
HOURS = 1
CORES = 5
"""Two workers, the simulated Klaviyo, Postgres and the coordinator."""


@dataclass(frozen=True)
class Figures:
    """Of one sync: seconds until the next one ends, CPU seconds of the workers and of Postgres."""

    wall: float
    workers: float
    server: float

    def __str__(self) -> str:
        cpu = f"{self.workers:.2f} s of CPU a sync, {self.server:.2f} s of Postgres"
        return f"{3600 / self.wall:.0f} accounts an hour, {cpu}"


@pytest.mark.soak
@pytest.mark.parametrize("tables", [only("metric", "list", "segment"), {}], ids=["few", "all"])
def test_twice_the_machines_do_twice_the_accounts(tables: dict[str, bool], tmp_path: Path) -> None:
    accounts = [narrowed(generate_account(events=300, profiles=30, days=3, seed=seed)) for seed in range(ACCOUNTS)]
    own = {"tables": tables}
    free = (os.cpu_count() or 1) - os.getloadavg()[0]
    with (
        shops(tmp_path, [(account, own) for account in accounts], rate_limits="off") as made,
        cluster(tmp_path, made, tasks=1) as machines,
    ):
        coordinator = machines.coordinator(made)
        first, *others = [machines.start() for _ in range(4)]
        syncs(made, coordinator, at_once=4)  # the first: Klaviyo's limits make it long
        for shop in made:
            shop.sandbox.rate_limits = "real"
        found: dict[int, list[Figures]] = {1: [], 2: []}
        for _ in range(2):  # what else the machine does makes CPU seconds longer, and comes and goes
            for machine in others:
                machine.signal(signal.SIGKILL)
            found[1].append(measured(made, coordinator, [first]))
            others = [machines.start()]
            syncs(made, coordinator, at_once=4)  # what a worker imports, it imports once
            found[2].append(measured(made, coordinator, [first, *others]))
            print(f"one worker: {found[1][-1]}\ntwo workers: {found[2][-1]}")  # noqa: T201
    one, two = (min(figures, key=lambda each: each.workers + each.server) for figures in found.values())
    assert two.workers + two.server < 1.5 * (one.workers + one.server)
    if free >= CORES:
        assert one.wall > 1.8 * two.wall


def syncs(shops: list[Shop], coordinator: Coordinator, at_once: int) -> None:
    """Sync every account once."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    coordinator.begin({shop.name: [("sync", {RANGE_START: today, RANGE_END: today})] for shop in shops}, at_once)
    assert coordinator.succeeded()


def measured(shops: list[Shop], coordinator: Coordinator, workers: list[Worker]) -> Figures:
    server = cpu_of_postgres()
    began, cpu, servers = time.monotonic(), sum(worker.cpu() for worker in workers), server()
    for _ in range(HOURS):
        syncs(shops, coordinator, at_once=2 * len(workers))  # the next one waits at the worker
    number = HOURS * len(shops)
    ended = time.monotonic(), sum(worker.cpu() for worker in workers), server()
    return Figures(*((after - before) / number for after, before in zip(ended, (began, cpu, servers), strict=True)))


def cpu_of_postgres() -> Callable[[], float]:
    """What tells the CPU seconds of the server and of all connections that it has had."""
    import psutil
    import psycopg

    with psycopg.connect(postgres_server()) as connection:
        ((folder,),) = connection.execute("SELECT current_setting('data_directory')").fetchall()
    server = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))

    def seconds() -> float:
        times = [process.cpu_times() for process in (server, *server.children())]
        return sum(each.user + each.system + each.children_user + each.children_system for each in times)

    return seconds
