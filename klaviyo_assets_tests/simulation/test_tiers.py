"""The two tiers: the warehouse of dictionaries keeps the promises, and comes to what the SQL comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_assets.verification import promises
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.simulation import agreement, plan
from klaviyo_assets_tests.simulation.dictionaries.warehouse import Dictionaries
from klaviyo_assets_tests.simulation.dictionaries.writing import Writing
from klaviyo_assets_tests.simulation.history import History, simulated

IN_SOAK = 300

OF_A_DATABASE = {
    promises.many_rows_at_once,
    promises.an_interrupted_load_is_whole_or_not_there,
    promises.a_killed_process_leaves_nothing,
    promises.writers_wait_for_each_other,
    promises.columns_of_others_stay,
    promises.what_has_no_room_is_kept,
    promises.tables_are_read,
}
"""Promises that are tried with SQL or from other processes, or that need a limit of columns."""


@pytest.mark.parametrize("promise", [each for each in promises.PROMISES if each not in OF_A_DATABASE])
def test_dictionaries_keep_the_promises(promise: Callable[[Warehouse], None]) -> None:
    promise(Dictionaries())


Makes = tuple[Callable[[int], History], Callable[[int], History]]


@pytest.fixture
def makes(tmp_path: Path) -> Iterator[Makes]:
    (tmp_path / "warehouse").mkdir()
    with simulated(tmp_path / "warehouse", 1) as first, simulated(tmp_path / "warehouse", 2) as second:
        yield first, second


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_SOAK))
def test_the_tiers_agree(seed: int, makes: Makes) -> None:
    problems = agreement.disagreement(*makes, seed, plan.history(seed))
    assert not problems, "\n".join(problems)


def test_the_tiers_agree_on_some_syncs(makes: Makes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets_tests.simulation.history.QUIET_DAYS", 0)
    steps = plan.history(4)[:2]
    looked, _ = agreement.lived(makes[0], 4, steps)
    assert len(looked) > 2 and len(looked[-1].rows) > 500 and looked[-1].states
    problems = agreement.disagreement(*makes, 4, steps)
    assert not problems, "\n".join(problems)

    monkeypatch.setattr(Writing, "write_state", lambda writing, state: None)
    assert agreement.disagreement(*makes, 4, steps[:1])
