"""What a change of the API's revision does to the rows of coupons and templates: it fills a column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.faults import Call, Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.expected import stored

ADDED = {"coupon": "assigner_configuration", "email_template": "screenshot_url"}
Rows = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    return project(generate_account(events=0, profiles=5, days=20, seed=5), tables=only(*ADDED))


def rows(project: Project) -> Rows:
    """Every row, without the time of its sync."""
    found = {name: {row["id"]: row for row in stored(project.warehouse, name)} for name in ADDED}
    for some in found.values():
        for row in some.values():
            del row["_fivetran_synced"]
    return found


def refusing(status: int) -> Callable[[Call], Status | None]:
    """A key that may ask for revision 2026-07-15 alone."""
    body = ApiError(status, "not_available", "This revision is not available.").body()
    return lambda call: None if call.headers["revision"] == "2026-07-15" else Status(status, body=body)


def warnings(project: Project, result: Any) -> list[str]:
    entries = project.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.level >= 30]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_the_switch_of_the_revision_fills_a_column(klaviyo: Project, status: int) -> None:
    klaviyo.sandbox.faults.append(refusing(status))
    result = klaviyo.refresh()
    for name, operation in (("coupon", "get_coupons"), ("email_template", "get_templates")):
        (said,) = (each for each in warnings(klaviyo, result) if operation in each)
        assert "in revision 2026-07-15" in said and "This revision is not available." in said
        assert f"{name}.{ADDED[name]} stays as it is stored" in said
    with duckdb.connect(klaviyo.settings.duckdb_path) as connection:  # as the version before this one left it
        for name, column in ADDED.items():
            connection.execute(f"ALTER TABLE {klaviyo.settings.schema_name}.{name} DROP COLUMN {column}")
    before = rows(klaviyo)

    klaviyo.sandbox.faults.clear()
    assert not [each for each in warnings(klaviyo, klaviyo.refresh()) if "revision" in each]
    after = rows(klaviyo)
    assert klaviyo.differences(*ADDED) == []
    for name, column in ADDED.items():
        assert after[name].keys() == before[name].keys()
        filled = {id for id, row in after[name].items() if row.pop(column) is not None}
        assert filled and filled != after[name].keys()
        assert after[name] == before[name]

    after = rows(klaviyo)
    klaviyo.sandbox.faults.append(refusing(status))
    klaviyo.refresh()
    assert rows(klaviyo) == after, "what only the later revision shows stays"


def test_a_digest_of_what_only_the_later_revision_shows_stays(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "a salt that nobody knows, of 40 characters")
    account = generate_account(events=0, profiles=5, days=20, seed=5)
    klaviyo = project(account, tables=only(*ADDED), hashed_columns={name: [column] for name, column in ADDED.items()})
    klaviyo.refresh()
    hashed = rows(klaviyo)
    assert all(len({row[column] for row in hashed[name].values()}) > 1 for name, column in ADDED.items())
    klaviyo.sandbox.faults.append(refusing(400))
    klaviyo.refresh()
    assert rows(klaviyo) == hashed


def test_a_refusal_of_both_revisions_is_an_error(klaviyo: Project) -> None:
    klaviyo.sandbox.faults.append(lambda call: Status(400) if call.operation == "get_coupons" else None)
    assert not klaviyo.run("klaviyo_full_refresh").success


def test_a_key_for_the_earlier_revision_is_not_asked_for_fields_of_the_later_one(
    project: Callable[..., Project],
) -> None:
    account = generate_account(events=0, profiles=5, days=20, seed=5)
    klaviyo = project(account, tables=only(*ADDED), blocked_columns={"email_template": ["html"]})
    klaviyo.sandbox.faults.append(refusing(400))
    assert klaviyo.refresh().success
    asked = {request.query["fields[template]"] for request in klaviyo.sandbox.requests.of("get_templates")}
    assert {("screenshot_url" in fields, "html" in fields) for fields in asked} == {(True, False), (False, False)}
    assert len(rows(klaviyo)["email_template"]) == 24
