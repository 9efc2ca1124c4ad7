"""The address of a warehouse, whose secrets may be in a variable of the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from klaviyo_assets import environment
from klaviyo_assets.warehouse.errors import WarehouseUnusable

_Address = TypeVar("_Address")


def url_of(address: str, url_variable: str | None) -> str:
    """Return the address with its secrets: that of the variable, if one is named.

    Raises WarehouseUnusable if the variable is not set.
    """
    if not url_variable:
        return address
    found = environment.get(url_variable)
    if found is None:
        raise WarehouseUnusable(address, f"the environment variable {url_variable} with its URL is not set")
    return found


def read_address(address: str, url_variable: str | None, parsed: Callable[[str], _Address]) -> _Address:
    """Return what an address says with its secrets. parsed: reads it; raises ValueError, which does not repeat it.

    Raises WarehouseUnusable if the variable is not set, or if there is no address in it.
    """
    given = url_of(address, url_variable)
    try:
        return parsed(given)
    except ValueError as error:
        where = f"of the environment variable {url_variable}: " if url_variable else ""
        raise WarehouseUnusable(address, f"{where}{error}") from None
