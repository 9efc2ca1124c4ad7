"""LIST_PERSON and SEGMENT_PERSON: who joined with every sync, who left only by a complete read."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_assets.api import MARGIN, NotFound, greater_or_equal
from klaviyo_assets.assets.described import DescribedAssets, asset_out, deps_of
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import PublishConfig, Step
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.sync.reads.reading import concurrently
from klaviyo_assets.sync.scopes import COMPLETE
from klaviyo_assets.tables import lists, segments
from klaviyo_assets.tables.jsonapi import Rows, attributes, instant_or_none, resources
from klaviyo_assets.tables.table import WEEKLY, Table
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract


class MembershipConfig(PublishConfig):
    """What a run may decide about memberships."""

    complete: bool | None = Field(
        default=None, description="Read all members, not only those who joined. Default: yes, in syncs when due."
    )


@dataclass(frozen=True)
class Group:
    """Lists or segments: how they and their members are asked for."""

    table: Table
    groups: str
    members: str
    path: str
    rows: Callable[[dict[str, Any], str], Rows]


GROUPS = (
    Group(lists.LIST_PERSON, "get_lists", "get_profiles_for_list", "lists", lists.members),
    Group(segments.SEGMENT_PERSON, "get_segments", "get_profiles_for_segment", "segments", segments.members),
)


def build_memberships(described: DescribedAssets) -> list[dg.AssetsDefinition]:
    """Return the assets, none if the setting `memberships` is off."""
    settings = described.settings
    if settings.memberships == "off":
        return []
    return [_memberships(described, group) for group in GROUPS if settings.enabled(group.table)]


def _memberships(described: DescribedAssets, group: Group) -> dg.AssetsDefinition:
    settings, spec = described.settings, described.table(group.table.name)
    table = settings.table(group.table)

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, spec, Extract, is_required=False)},
        deps=deps_of([spec]),
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "profiles")),
    )
    @described.options.executed
    def memberships(context: dg.AssetExecutionContext, config: MembershipConfig) -> Iterator[dg.Output[Extract]]:
        with Step(settings, context, [table]) as step:
            known = step.states.get((table.name, ""))
            complete = not step.is_sync if config.complete is None else config.complete
            complete = complete or known is None or step.is_due(table.name, COMPLETE, WEEKLY)
            if not complete and settings.memberships == "weekly":
                context.log.info(f"{table.name} is not due yet.")
                return
            through = step.now - MARGIN
            since = None
            if not complete and known and known.synced_through:
                since = min(known.synced_through, through) - settings.overlap
            members = read_members(step.account, group, since)
            batches = ({table.name: Columns.of_rows(rows[table.name], table.types)} for rows in members)
            writer = step.spool(batches, [table])[table.name]
            used = {**step.used(), "complete": complete, **step.losses(writer.lost)}
            state = step.state(table.name, through=through, complete=complete)
            extract = Extract(
                table,
                spool=writer.spool,
                began=step.began,
                # What an answer of another shape lacks is not gone.
                coverage=replace(WHOLE_TABLE, read_at=step.now) if complete and not step.misshapen else None,
                guarded=not config.accept_shrink,
                states=(state, step.state(table.name, COMPLETE)) if complete else (state,),
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
