"""Whatever an account goes through, models that are built step by step end as those that are built anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.models.assets import dbt_variables
from klaviyo_assets.models.run import dbt_build
from klaviyo_assets.models.targets import duckdb
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.fuzz import RandomAccount

FINALS = (
    "klaviyo__events",
    "klaviyo__person_campaign_flow",
    "klaviyo__campaigns",
    "klaviyo__flows",
    "klaviyo__persons",
)
SEEDS = 40
BUILDS = 4


def without_tests(
    arguments: Sequence[str], folder: Path, more: Mapping[str, str]
) -> AbstractContextManager[Iterator[str]]:
    """Run `dbt run` in the place of `dbt build`."""
    command, *rest = arguments
    assert command == "build"
    kept = [each for each in rest if each not in ("--exclude-resource-type", "unit_test")]
    indirect = kept.index("--indirect-selection")
    return forked(["run", *kept[:indirect], *kept[indirect + 2 :]], folder, more)


class Models:
    """The models of a random account. sessions: credit is given by them, not as Klaviyo says."""

    def __init__(self, folder: Path, *, sessions: bool) -> None:
        self.settings = Settings(duckdb_path=str(folder / "w.duckdb"))
        self.warehouse = DuckDBWarehouse(database=self.settings.duckdb_path)
        self.cache = folder / "cache"
        self.variables = dbt_variables(self.settings) | ({"using_native_attribution": False} if sessions else {})

    def built(self, *, full_refresh: bool = False) -> dict[str, list[str]]:
        """Build the models; return the rows of each, in an order of their own."""
        results = dbt_build(
            duckdb.target(self.settings.duckdb_path, "klaviyo_models", {}),
            select=FINALS,
            variables=self.variables,
            full_refresh=full_refresh,
            cache=self.cache,
            log=logging.getLogger(__name__),
        )
        assert [result.message for result in results if result.is_failure] == []
        with self.warehouse.connect() as connection:
            return {model: sorted(map(repr, self._rows(connection, model))) for model in FINALS}

    def _rows(self, connection: Any, model: str) -> list[dict[str, Any]]:
        result = connection.execute(f"SELECT * FROM klaviyo_models.{model}")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
def test_incremental_models_end_as_full_ones(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account goes on three times before each build; every second one is credited by sessions."""
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", without_tests)
    models = Models(tmp_path, sessions=seed % 2 == 1)
    account = RandomAccount(models.warehouse, seed)
    incremental = models.built()
    for _ in range(BUILDS):
        for _ in range(3):
            account.go_on()
        incremental = models.built()
    full = models.built(full_refresh=True)
    assert len(full["klaviyo__events"]) > 60
    for model in FINALS:
        assert incremental[model] == full[model], model
