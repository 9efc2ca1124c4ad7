"""What Postgres alone may do to who counts there: rights, locks, settings of a role, and being started anew."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import Window
from klaviyo_assets.shared_limits.counting import NobodyCounts
from klaviyo_assets.shared_limits.postgres import PostgresLimits
from klaviyo_assets_tests.warehouse.databases import postgres_database

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

MINUTE = [Window(1000, 1.05), Window(1000, 63.0)]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return postgres_database(tmp_path)


def counter(address: str, *options: str, **given: Any) -> PostgresLimits:
    set_to = "".join(f"&options={option.replace('=', '%3D')}" for option in options)
    return PostgresLimits(address + set_to, None, account="a", schema="counted", **given)


@pytest.mark.parametrize(
    ("rights", "schema", "said"),
    [
        ("", "counted", "permission denied for database"),
        ("", None, "permission denied for schema public"),
        ("CREATE SCHEMA counted; CREATE TABLE counted._rate_limits (x int)", "counted", "permission denied for schema"),
        ("ALTER ROLE {role} SET default_transaction_read_only = on", "counted", "in a read-only transaction"),
    ],
)
def test_a_right_that_is_missing_is_named(address: str, rights: str, schema: str | None, said: str) -> None:
    role = f"poor_{address.rpartition('/of_')[2].partition('?')[0]}"
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN;" + rights.format(role=role))
        poor = PostgresLimits(address.replace("postgres:@", f"{role}:very-s3cret@"), None, account="a", schema=schema)
        with pytest.raises(NobodyCounts, match=said) as raised:
            poor.take("op", MINUTE)
        assert "very-s3cret" not in str(raised.value).partition("fails:")[2]
        admin.execute(f"DROP ROLE {role}")


def test_a_table_that_is_removed_is_made_anew(address: str) -> None:
    counts = counter(address)
    assert counts.take("op", MINUTE) == 0
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute("DROP SCHEMA counted CASCADE")
    assert counts.take("op", MINUTE) == 0
    counts.close()


def test_who_asks_at_the_same_time_is_not_refused_by_a_role_that_isolates_more(address: str) -> None:
    counts = [counter(address, "-cdefault_transaction_isolation=serializable") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        taken = pool.map(lambda each: [each.take("op", MINUTE) for _ in range(40)], counts)
        assert [sum(each) for each in taken] == [0] * 4
    for each in counts:
        each.close()


def test_a_lock_that_somebody_holds_on_the_table_is_an_error_at_last(address: str) -> None:
    counts = counter(address, patience=0.4)
    counts.take("op", MINUTE)
    with psycopg.connect(address) as other:
        other.execute("LOCK TABLE counted._rate_limits")
        with pytest.raises(NobodyCounts, match="statement timeout"):
            counts.take("op", MINUTE)
    assert counts.take("op", MINUTE) == 0
    counts.close()


def test_a_server_that_has_answered_before_is_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect: Callable[..., Any] = psycopg.connect
    now, until = [0.0], [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def connect_again(*given: Any, **options: Any) -> Any:
        if now[0] < until[0]:
            raise psycopg.OperationalError("connection refused")
        return connect(*given, **options)

    monkeypatch.setattr(psycopg, "connect", connect_again)
    counts = counter(address, sleep=sleep, clock=lambda: now[0])
    for down, outcome in ((1.0, "refused"), (0.0, 0.0), (50.0, 0.0), (70.0, "refused")):
        began = now[0]
        until[0] = began + down
        counts.close()
        try:
            assert counts.take("op", MINUTE) == outcome
        except NobodyCounts as error:
            assert outcome == "refused", error
            assert now[0] - began == (0 if down == 1 else pytest.approx(60, abs=2))
    counts.close()
