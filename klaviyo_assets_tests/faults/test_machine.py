"""Runs that overlap, are killed, stalled and woken, under clocks that jump, lose, double and flag nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets_tests.faults.conftest import Killing
from klaviyo_assets_tests.faults.machine import HOUR, Machine, an_account, begin, copied

IN_SOAK = 400


def begun(killing: Killing, template: Path) -> Path:
    with Sandbox(an_account(), killing.port) as sandbox:
        begin(killing.folders, template, killing.syncs, sandbox.url)
    return template


@pytest.fixture(scope="session")
def start(killing: Killing, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the warehouse and of the DAGSTER_HOME that the stories begin with."""
    return begun(killing, tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="session")
def start_on_postgres(killing_on_postgres: Killing, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(killing_on_postgres, tmp_path_factory.mktemp("start_on_postgres"))


def tell(seed: int, killing: Killing, start: Path, folder: Path) -> None:
    account = an_account(later=HOUR / 2)
    with Sandbox(account, killing.port) as sandbox:
        copied(killing.folders, start, folder)
        Machine(seed, account, killing.folders, folder, killing.syncs, sandbox.url).play()


@pytest.mark.soak  # the simulation tells of clocks, too, in a fraction of the time
@pytest.mark.parametrize("seed", range(IN_SOAK))
def test_a_story(seed: int, killing: Killing, start: Path, tmp_path: Path) -> None:
    tell(seed, killing, start, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0])
def test_a_story_on_postgres(seed: int, killing_on_postgres: Killing, start_on_postgres: Path, tmp_path: Path) -> None:
    tell(seed, killing_on_postgres, start_on_postgres, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, IN_SOAK // 4))
def test_a_story_on_postgres_in_soak(
    seed: int, killing_on_postgres: Killing, start_on_postgres: Path, tmp_path: Path
) -> None:
    tell(seed, killing_on_postgres, start_on_postgres, tmp_path)
