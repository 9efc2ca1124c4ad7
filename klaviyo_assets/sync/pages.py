"""From pages of the large tables to rows, as any process can do it: what it needs besides the page goes along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from klaviyo_assets.privacy.packing import packed, with_packed
from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.schema.columns import Batch, Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.tables import events, exclusions, profiles

IDS = TableSpec(name="ids", columns=(Column("id", Type.TEXT),), primary_key=("id",))
"""The keys that pages speak of, whether or not they have rows."""


@dataclass(frozen=True)
class EventPages:
    """Makes rows of EVENT of the content of a page. policy: of the table. context: what it takes from other tables."""

    policy: ColumnPolicy
    context: events.EventContext

    def __call__(self, content: bytes) -> Batch:
        """Return the rows of a page; raise msgspec.DecodeError if it is no JSON."""
        return {events.EVENT.name: self.columns(content)}

    def columns(self, content: bytes) -> Columns:
        """Return the rows as columns."""
        page = events.read(content)
        return _packed(self.policy, page, partial(events.columns, page, self.context))


@dataclass(frozen=True)
class ProfilePages:
    """Makes rows of PERSON and of the exclusions, and `IDS`, of the content of a page. policy: of PERSON."""

    policy: ColumnPolicy

    def __call__(self, content: bytes) -> Batch:
        """Return the rows of a page; raise msgspec.DecodeError if it is no JSON."""
        page = profiles.read(content)
        rows = exclusions.rows(page)
        ids = [profile.id for profile in page.profiles if profile.id not in page.unread]
        return {
            profiles.PERSON.name: _packed(self.policy, page, partial(profiles.columns, page)),
            **{table.name: Columns.of_rows(rows[table.name], table.types) for table in exclusions.TABLES},
            IDS.name: Columns(len(ids), {"id": ids}),
        }


def _packed(
    policy: ColumnPolicy, page: events.EventPage | profiles.ProfilePage, columns: Callable[[], Columns]
) -> Columns:
    """The columns of a page, with its properties packed if they are to be; before the columns take them away."""
    if policy.packing is None or not policy.packs:
        return columns()  # without a look at the properties: that takes as long as the columns do
    rows = packed(page.properties, policy.packed)
    return with_packed(columns(), rows, policy.packing)
