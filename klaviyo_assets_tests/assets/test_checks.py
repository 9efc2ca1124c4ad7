"""What the check on each table makes of what was found."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, failures, only

DAYS = 12
EVENT = dg.AssetKey(["klaviyo", "event"])


@pytest.mark.parametrize("seed", [3, pytest.param(8, marks=pytest.mark.soak)])
def test_unknown_people_are_normal_until_the_history_is_there(project: Callable[..., Project], seed: int) -> None:
    account = generate_account(events=400, profiles=80, days=DAYS, seed=seed)
    klaviyo = project(account, tables=only(), models=False, only_active_profiles=True)

    def integrity() -> dg.AssetCheckEvaluation:
        result = klaviyo.sync()
        (found,) = [check for check in result.get_asset_check_evaluations() if check.asset_key == EVENT]
        return found

    klaviyo.sync(first=-1)
    first = integrity()
    unknown = first.metadata["unknown_person_id"].value
    assert isinstance(unknown, int) and unknown > 0, "the account has people who were not updated lately"
    assert first.passed and f"{unknown:,} rows have a person_id that is still unknown" in str(first.description)

    assert klaviyo.run("klaviyo_backfill", -DAYS, -2).success
    complete = integrity()
    assert complete.passed and complete.description is None
    assert complete.metadata["unknown_person_id"].value == 0

    with klaviyo.warehouse.connect() as connection:
        connection.execute(
            "UPDATE klaviyo.person SET id = 'another' WHERE id = (SELECT id FROM klaviyo.person"
            " WHERE id IN (SELECT person_id FROM klaviyo.event) ORDER BY updated LIMIT 1)"
        ).fetchall()  # whoever was updated today is read again by the next sync
    lost = integrity()
    assert not lost.passed and lost.severity is dg.AssetCheckSeverity.WARN
    assert "have an unknown person_id" in str(lost.description)


def test_checks_that_are_chosen_alone_look_at_what_is_there(project: Callable[..., Project]) -> None:
    klaviyo = project(generate_account(events=5, profiles=5, days=2), tables=only("list", "metric"), models=False)
    alone = dg.define_asset_job("alone", dg.AssetSelection.all_asset_checks())
    klaviyo.definitions = dg.Definitions.merge(klaviyo.definitions, dg.Definitions(jobs=[alone]))
    assert klaviyo.run("alone").success, "nothing is there yet"

    klaviyo.refresh()
    for each in klaviyo.account.all("list")[1:]:
        klaviyo.account.delete("list", each.id)
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo_staging", "list"]).success
    requests = len(klaviyo.sandbox.requests)
    result = klaviyo.run("alone")
    assert result.success, failures(result)
    passed = {("/".join(each.asset_key.path), each.check_name): each.passed
              for each in result.get_asset_check_evaluations()}  # fmt: skip
    assert passed == {
        ("klaviyo/list", "integrity"): True,
        ("klaviyo/metric", "integrity"): True,
        ("klaviyo/person", "integrity"): True,
        ("klaviyo_staging/list", "not_suspiciously_small"): False,
        ("klaviyo_staging/metric", "not_suspiciously_small"): True,
    }
    read = {each.path for each in klaviyo.sandbox.requests[requests:]}
    assert read <= {"/api/accounts"}, "whose key it is"
