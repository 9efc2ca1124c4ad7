"""LIST_PERSON and SEGMENT_PERSON: who joined with every sync, who left only by a complete read."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import MARGIN, NotFound, NotPermitted, greater_or_equal
from klaviyo_assets.assets.losses import warn_of_lost
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.run_tags import is_incremental
from klaviyo_assets.assets.snapshots import PublishConfig, skip_or_raise
from klaviyo_assets.assets.specs import asset_out, table_key, table_spec
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import noting
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_due
from klaviyo_assets.sync.reads.reading import concurrently
from klaviyo_assets.sync.scopes import COMPLETE
from klaviyo_assets.tables import lists, segments
from klaviyo_assets.tables.jsonapi import Rows, attributes, instant_or_none, resources
from klaviyo_assets.tables.table import WEEKLY, Table
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract
from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
from klaviyo_assets.warehouse.state import SyncState


class MembershipConfig(PublishConfig):
    """What a run may decide about memberships."""

    complete: bool | None = Field(
        default=None, description="Read all members, not only those who joined. Default: yes, in syncs when due."
    )


@dataclass(frozen=True)
class Group:
    """Lists or segments: how they and their members are asked for."""

    table: Table
    parent: str
    groups: str
    members: str
    path: str
    rows: Callable[[dict[str, Any], str], Rows]


GROUPS = (
    Group(lists.LIST_PERSON, "list", "get_lists", "get_profiles_for_list", "lists", lists.members),
    Group(segments.SEGMENT_PERSON, "segment", "get_segments", "get_profiles_for_segment", "segments", segments.members),
)


def build_memberships(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets, none if the setting `memberships` is off."""
    if settings.memberships == "off":
        return []
    return [_memberships(settings, group) for group in GROUPS if settings.enabled(group.table)]


def _memberships(settings: Settings, group: Group) -> dg.AssetsDefinition:
    table = settings.table(group.table)

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, table_spec(settings, table, group="core"), Extract, is_required=False)},
        deps=[table_key(settings, group.parent)],
        required_resource_keys={settings.name},
    )
    def memberships(context: dg.AssetExecutionContext, config: MembershipConfig) -> Iterator[dg.Output[Extract]]:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        use = account.usage()
        start = account.start(context.log.warning, [table])
        now, states = start.now, start.states
        known = states.get((table.name, ""))
        complete = not is_incremental(context, None if config.complete is None else not config.complete)
        complete = complete or known is None or is_due(settings, states, table.name, COMPLETE, WEEKLY, now)
        if not complete and settings.memberships == "weekly":
            context.log.info(f"{table.name} is not due yet.")
            return
        through = now - MARGIN
        since = (
            None if complete or known is None or known.synced_through is None else min(known.synced_through, through)
        )
        with temporary_spool() as spool:
            writer = SpoolWriter(table, spool)
            try:
                with noting() as misshapen:
                    for rows in read_members(account, group, since and since - settings.overlap):
                        writer.add(Columns.of_rows(rows[table.name], table.types))
            except NotPermitted as error:
                skip_or_raise(settings, context, error, [table])
                return
            writer.close()
            used = {**use(), "complete": complete, **warn_of_lost(context, [table], misshapen, writer.lost)}
            done = [SyncState(table.name, "", synced_through=through, complete=complete, run_id=context.run.run_id)]
            if complete:
                done.append(
                    SyncState(table.name, COMPLETE, synced_through=now, complete=True, run_id=context.run.run_id)
                )
            extract = Extract(
                table,
                spool=spool,
                began=start.began,
                # What an answer of another shape lacks is not gone.
                coverage=replace(WHOLE_TABLE, read_at=now) if complete and not misshapen else None,
                guarded=not config.accept_shrink,
                states=tuple(done),
                metadata=lambda: used,
            )
            yield dg.Output(extract, output_name=table.name)

    return memberships


def read_members(account: KlaviyoAccount, group: Group, since: dt.datetime | None) -> Iterator[Rows]:
    """Read the members of every list or segment; with `since` (UTC) only those who joined from then on.

    A group that was made after `since` is read completely: its members may have joined it as they were imported.
    """
    client = account.client

    def members(id: str, since: dt.datetime | None) -> Iterator[Rows]:
        query: dict[str, Any] = {
            "fields[profile]": "joined_group_at",
            "filter": greater_or_equal("joined_group_at", since) if since else None,
            "sort": "joined_group_at",
            "page[size]": 100,
        }
        try:
            for page in client.pages(group.members, f"/{group.path}/{id}/profiles", query):
                yield group.rows(page.json(), id)
        except NotFound:
            return  # deleted since it was listed

    found: list[tuple[str, dt.datetime | None]] = []
    for page in client.pages(group.groups, f"/{group.path}", {"sort": "id", "page[size]": 10}):
        for resource in resources(page.json()):
            created = instant_or_none(attributes(resource).get("created"))
            is_new = since is None or created is None or created >= since
            found.append((resource["id"], None if is_new else since))
    yield from concurrently((members(id, lower) for id, lower in found), client.max_concurrency)
