"""Two slow passes over all profiles: which were deleted or merged, and their predictive analytics."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from klaviyo_assets.api import Page, any_of, attribute_times, read_windows, strictly_between
from klaviyo_assets.assets.described import (
    PERSON_DELETES,
    PERSON_PREDICTIONS,
    DescribedAssets,
    asset_out,
    deps_of,
)
from klaviyo_assets.assets.incremental import without_pauses
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import PublishConfig, SnapshotConfig, Step
from klaviyo_assets.schema.columns import Batch, Columns
from klaviyo_assets.sync.pages import IDS
from klaviyo_assets.sync.progress import ProgressReporter
from klaviyo_assets.sync.scopes import PREDICTIVE_ANALYTICS, SWEEP
from klaviyo_assets.tables import profiles
from klaviyo_assets.tables.exclusions import GLOBAL_EXCLUSION, LIST_EXCLUSION
from klaviyo_assets.tables.jsonapi import resources
from klaviyo_assets.tables.profiles import ANALYTICS, PERSON
from klaviyo_assets.tables.table import WEEKLY
from klaviyo_assets.warehouse.extract import Extract, Sweep

_FIRST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Before the first profile, imported ones included: Klaviyo knows no time before. An empty decade costs nothing."""

_ASKED_AT_ONCE = 100


class SweepConfig(SnapshotConfig, PublishConfig):
    """What a run may decide about the sweep."""


def build_person_passes(described: DescribedAssets) -> list[dg.AssetsDefinition]:
    """Return the sweep and, if the settings ask for it, the pass for predictive analytics; nothing without PERSON."""
    settings = described.settings
    if not settings.enabled(PERSON):
        return []
    passes = [_sweep(described)]
    if settings.predictive_analytics != "off" and any(ANALYTICS in name for name in settings.table(PERSON).types):
        passes.append(_predictions(described))
    return passes


def _sweep(described: DescribedAssets) -> dg.AssetsDefinition:
    settings, spec = described.settings, described.pass_over_person(PERSON_DELETES)
    person = settings.table(PERSON)

    @dg.multi_asset(
        name=f"{settings.name}__{PERSON_DELETES}",
        outs={PERSON_DELETES: asset_out(settings, spec, Sweep, is_required=False)},
        deps=deps_of([spec]),
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "profiles")),
    )
    @described.options.executed
    def person_deletes(context: dg.AssetExecutionContext, config: SweepConfig) -> Iterator[dg.Output[Sweep]]:
        with Step(settings, context, [person]) as step:
            if step.skips(config, due=step.is_due(person.name, SWEEP, WEEKLY), what="The sweep of person is"):
                return
            pages = _all_profiles(
                step.account, {"fields[profile]": "created"}, ProgressReporter(PERSON_DELETES, context.log)
            )
            sweep = Sweep(
                person,
                step.spool(map(_ids, pages), [IDS])[IDS.name].spool,
                began=step.began,
                created="created",
                created_before=step.now,
                still_there=lambda ids: _still_there(step.account, ids),
                children=((settings.table(GLOBAL_EXCLUSION), "person_id"), (settings.table(LIST_EXCLUSION), "id")),
                accept_shrink=config.accept_shrink,
                states=(step.state(person.name, SWEEP),),
                metadata=step.used,
            )
            yield dg.Output(sweep, output_name=PERSON_DELETES)

    return person_deletes


def _predictions(described: DescribedAssets) -> dg.AssetsDefinition:
    settings, spec = described.settings, described.pass_over_person(PERSON_PREDICTIONS)
    person = settings.table(PERSON)

    @dg.multi_asset(
        name=f"{settings.name}__{PERSON_PREDICTIONS}",
        outs={PERSON_PREDICTIONS: asset_out(settings, spec, Extract, is_required=False)},
        deps=deps_of([spec]),
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "profiles")),
    )
    @described.options.executed
    def person_predictions(context: dg.AssetExecutionContext, config: SnapshotConfig) -> Iterator[dg.Output[Extract]]:
        with Step(settings, context, [person]) as step:
            due = step.is_due(person.name, PREDICTIVE_ANALYTICS, WEEKLY)
            if step.skips(config, due=due, what="The predictive_analytics of person is"):
                return
            wanted = {
                "additional-fields[profile]": "predictive_analytics",
                "fields[profile]": "created,predictive_analytics",
            }
            pages = _all_profiles(step.account, wanted, ProgressReporter(PERSON_PREDICTIONS, context.log))
            batches = without_pauses({person.name: _analytics(page)} for page in pages)
            writer = step.spool(batches, [person])[person.name]
            used = {**step.used(), **step.losses(writer.lost)}
            extract = Extract(
                person,
                spool=writer.spool,
                began=step.began,
                patch=True,
                states=(step.state(person.name, PREDICTIVE_ANALYTICS),),
                metadata=lambda: used,
            )
            yield dg.Output(extract, output_name=PERSON_PREDICTIONS)

    return person_predictions


def _ids(page: Page) -> Batch:
    ids = [profile["id"] for profile in resources(page.json())]
    return {IDS.name: Columns(len(ids), {"id": ids})}


def _analytics(page: Page) -> Columns:
    columns = profiles.columns(page.content)
    own = {name: values for name, values in columns.declared.items() if name == "id" or ANALYTICS in name}
    return Columns(columns.rows, own)


def _all_profiles(account: KlaviyoAccount, wanted: dict[str, str], report: Callable[..., None]) -> Iterator[Page]:
    """Read all profiles by the time of their creation, which never changes, so that none slips through."""

    def fetch(start: dt.datetime, end: dt.datetime | None) -> Iterator[Page]:
        query: dict[str, Any] = {
            "filter": strictly_between("created", start, end),
            "sort": "created",
            "page[size]": 100,
            **wanted,
        }
        return account.client.pages("get_profiles", "/profiles", query)

    return read_windows(
        fetch,
        _FIRST,
        None,
        times=attribute_times("created"),
        workers=account.client.max_concurrency,
        now=account.client.now(),
        on_progress=lambda done: report(*done),
    )


def _still_there(account: KlaviyoAccount, ids: list[str]) -> set[str]:
    """Return those of the ids that Klaviyo still knows as they are, and not as another profile's."""
    found: set[str] = set()
    for first in range(0, len(ids), _ASKED_AT_ONCE):
        query: dict[str, str | int] = {
            "filter": any_of("id", ids[first : first + _ASKED_AT_ONCE]),
            "fields[profile]": "created",
            "page[size]": _ASKED_AT_ONCE,
        }
        for page in account.client.pages("get_profiles", "/profiles", query):
            found |= {profile["id"] for profile in resources(page.json())}
    return found
