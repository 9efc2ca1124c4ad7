"""A snapshot whose run ended before it was published is not left lying until the table is due again."""

from __future__ import annotations

from collections.abc import Callable

from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, only


def test_a_snapshot_that_was_not_published_is_read_again(project: Callable[..., Project]) -> None:
    klaviyo = project(generate_account(events=20, profiles=10, days=1, seed=1), tables=only("form"))
    klaviyo.sync()
    klaviyo.account.update("form", klaviyo.account.all("form")[0].id, name="Renamed")
    assert klaviyo.run("klaviyo_full_refresh", only=["klaviyo_staging", "form"]).success
    assert klaviyo.warehouse.query("SELECT count(*) FROM klaviyo.form WHERE name = 'Renamed'") == [(0,)]
    klaviyo.sync()
    assert klaviyo.warehouse.query("SELECT count(*) FROM klaviyo.form WHERE name = 'Renamed'") == [(1,)]
    klaviyo.sandbox.requests.clear()
    klaviyo.sync()
    assert klaviyo.sandbox.requests.of("get_forms") == [], "it is published, and due tomorrow"
