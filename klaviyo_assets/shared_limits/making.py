"""Makes what counts the requests of an account, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from klaviyo_assets import environment
from klaviyo_assets.api import Window
from klaviyo_assets.shared_limits.counting import NobodyCounts, account_of
from klaviyo_assets.shared_limits.daily import DailyRequests
from klaviyo_assets.shared_limits.place import NONE, place
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets.warehouse.warehouse import Warehouse


class Counting(Protocol):
    """Counts the requests of all processes until it is closed; see `SharedLimits`."""

    def take(self, name: str, windows: Sequence[Window]) -> float:
        """Take a place, or return the seconds until one is free."""

    def close(self) -> None:
        """Let go of the server."""


def shared_limits(address: str, variable: str | None, warehouse: Warehouse, api_key: str) -> Counting | None:
    """Return what counts the requests of an account, None if nobody has to.

    Args:
        address: As the setting `rate_limits` has it.
        variable: Of the environment, with the address and its password.
        warehouse: Of the account. It counts what may be asked for only so often a day, if nobody else does.
        api_key: Of the account.

    Raises:
        NobodyCounts: What is needed for that is not installed.
    """
    if address == NONE:
        return None
    if not address:
        return DailyRequests(warehouse)
    account, found = account_of(api_key), place(address)
    try:
        if found and found.kind == "redis":
            from klaviyo_assets.shared_limits.redis import RedisLimits

            return RedisLimits((environment.get(variable) if variable else None) or address, address, account=account)

        from klaviyo_assets.shared_limits.postgres import PostgresLimits
    except ImportError as error:
        extra = "redis" if found and found.kind == "redis" else "postgres"
        raise NobodyCounts(address, f"{error.name} is not installed (pip install 'klaviyo-assets[{extra}]').") from None
    if found:
        return PostgresLimits(address, variable, account=account)
    assert isinstance(warehouse, PostgresWarehouse)  # noqa: S101  # the settings allow no other
    return PostgresLimits(warehouse.address, warehouse.url_variable, account=account, schema=warehouse.schema_name)
