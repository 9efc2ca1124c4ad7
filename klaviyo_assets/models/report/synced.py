"""What the report takes from synced tables, which the models do not have: of the account, and of what was deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from klaviyo_assets.privacy.policy import DIGEST
from klaviyo_assets.tables.accounts import ORGANIZATION
from klaviyo_assets.warehouse.session import Session

READ = ("account_history", "campaign", "flow")
"""The tables."""

_CODE = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class Account:
    """Who the report is about. name: of the organization; of several, each. currency: an ISO code. Empty if not known,
    the currency also if several accounts have several.
    """

    name: str = ""
    currency: str = ""


def read_account(session: Session, schemas: Iterable[str]) -> Account:
    """Read what ACCOUNT_HISTORY last said. schemas: of the accounts."""
    schemas = tuple(schemas)
    names = [name for name in _latest(session, schemas, ORGANIZATION) if not name.startswith(DIGEST)]
    codes = set(_latest(session, schemas, "preferred_currency"))
    currency = codes.pop() if len(codes) == 1 else ""
    return Account(", ".join(dict.fromkeys(names)), currency if _CODE.fullmatch(currency) else "")


def read_names(session: Session, schemas: Iterable[str], kind: str) -> dict[str, str]:
    """Return the name of each campaign or flow by its id, of those that were deleted too. kind: which of the two."""
    found: dict[str, str] = {}
    for columns, table in _tables(session, schemas, kind):
        texts = [name for name in ("name", "subject") if name in columns]
        select = f"SELECT id, _fivetran_deleted, {', '.join(texts)} FROM {table}"
        for id, is_deleted, *names in session.sql(select) if texts else ():
            name = next(filter(None, names), f"Unnamed {kind} {id}")
            found[id] = name + " (deleted)" * bool(is_deleted)
    return found


def _latest(session: Session, schemas: Iterable[str], column: str) -> list[str]:
    """Return the last value of a column of ACCOUNT_HISTORY for each account that has one."""
    found = []
    for columns, table in _tables(session, schemas, "account_history"):
        if column in columns:
            rows = session.sql(f"SELECT id, {column} FROM {table} ORDER BY observed_at")
            found += [value for value in dict(rows).values() if value]
    return found


def _tables(session: Session, schemas: Iterable[str], name: str) -> Iterator[tuple[set[str], str]]:
    """Yield columns and quoted name of a table, for each account that has it."""
    for schema in schemas:
        if name in session.tables(schema):
            yield set(session.columns(schema, name)), session.name(schema, name)
