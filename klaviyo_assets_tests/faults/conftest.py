"""The process that syncs are forked from, and the warehouse of yesterday that most of these tests begin with."""

from __future__ import annotations

import datetime as dt
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.server import HOST, Sandbox
from klaviyo_assets_tests.faults.crashes import Kill, Outcome, Syncs
from klaviyo_assets_tests.faults.folders import FOLDERS, Folders
from klaviyo_assets_tests.faults.story import DAYS, first_day


@dataclass
class Killing:
    """The process that syncs, the port of the sandbox, and a first sync: its warehouse and what it did."""

    folders: Folders
    syncs: Syncs
    port: int
    template: Path
    first: Outcome

    def sync(self, account: Account, folder: Path, kill: Kill | None = None) -> Outcome:
        today = account.clock.now().date()
        days = ((today - dt.timedelta(days=DAYS)).isoformat(), today.isoformat())
        account.clock.run()
        with Sandbox(account, self.port):
            outcome = self.syncs.run(folder, account.clock.now(), days, kill)
        account.clock.freeze()
        return outcome


@contextmanager
def held(port: int) -> Iterator[None]:
    """Let nobody else be given a port; Linux lets a server listen on one that is bound and not listened on."""
    with socket.socket() as holder:
        if sys.platform == "linux":
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((HOST, port))
        yield


@contextmanager
def _killing(folders: Folders, template: Path) -> Iterator[Killing]:
    (template / "temporary").mkdir()
    folders.begin(template)
    with Sandbox(first_day()) as free:
        url = free.url
    port = int(url.split(":")[-1].split("/")[0])
    with Syncs(url, folders.address) as syncs, held(port):
        killing = Killing(folders, syncs, port, template, Outcome(False, False, {}, 0.0))
        killing.first = killing.sync(first_day(), template)
        assert killing.first.success and all(killing.first.counts.values())
        yield killing


@pytest.fixture(scope="session")
def killing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    with _killing(FOLDERS["duckdb"], tmp_path_factory.mktemp("yesterday")) as made:
        yield made


@pytest.fixture(scope="session")
def killing_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    with _killing(FOLDERS["postgres"], tmp_path_factory.mktemp("yesterday_on_postgres")) as made:
        yield made


@pytest.fixture
def template(killing: Killing) -> Path:
    """The folder of the warehouse of yesterday."""
    return killing.template
