"""Puts an account together: assets, checks, jobs, schedules, sensors and resources."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import dagster as dg
from dagster_shared.libraries import DagsterLibraryRegistry

from klaviyo_assets.assets.account_history import build_account_history
from klaviyo_assets.assets.checks import build_checks
from klaviyo_assets.assets.described import DescribedAssets, enabled_tables, with_own_io_manager
from klaviyo_assets.assets.executors import executor_of
from klaviyo_assets.assets.history import WITH_HISTORY, build_history
from klaviyo_assets.assets.incremental import build_incremental, daily_partitions
from klaviyo_assets.assets.io_manager import WarehouseIOManager
from klaviyo_assets.assets.memberships import build_memberships
from klaviyo_assets.assets.next_due import next_due
from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.assets.person_passes import build_person_passes
from klaviyo_assets.assets.reconciliation import build_reconciliation
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.snapshots import build_snapshots
from klaviyo_assets.assets.specs import account_key, io_manager_key
from klaviyo_assets.assets.translator import DagsterKlaviyoTranslator
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import build_jobs
from klaviyo_assets.automation.resync import build_resync
from klaviyo_assets.automation.rewrite import build_rewrite
from klaviyo_assets.automation.schedules import build_schedule
from klaviyo_assets.automation.sensors import build_sensor
from klaviyo_assets.clock import Clock, machine_time
from klaviyo_assets.models.assets import build_models
from klaviyo_assets.privacy.policy import Action
from klaviyo_assets.settings import Settings, require_distinct
from klaviyo_assets.sync.fields import sparse_fields
from klaviyo_assets.tables.accounts import ACCOUNT_HISTORY, ORGANIZATION
from klaviyo_assets.tables.registry import TABLES

DagsterLibraryRegistry.register("klaviyo-assets", version("klaviyo-assets"), is_dagster_package=False)

# A beta argument of Dagster that the UI's backfills need: one warning per asset, with nothing for a user to do.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy")


def build_definitions(
    *accounts: Settings,
    executor: dg.ExecutorDefinition | None = None,
    translator: DagsterKlaviyoTranslator | None = None,
    options: StepOptions | None = None,
    clock: Clock = machine_time,
) -> dg.Definitions:
    """Return the assets, checks, jobs, schedules, sensors and resources of one or several Klaviyo accounts.

    Args:
        accounts: The settings of each. Default: one account, from the environment and the settings file.
        executor: Of the accounts' own jobs; by default that of the setting `executor`: one process for a run, because
            steps are short, a process costs seconds to start, and an account's rate limits are shared. The definitions
            themselves have none, so that they can be merged with others: those decide how assets are materialized that
            are chosen in the UI.
        translator: Decides the keys of the assets, their groups, tags and what else they say of themselves.
        options: Tags and pool of the steps, and how backfills of EVENT and PERSON are cut into runs.
        clock: Tells the schedules and the sensors how long a run has been silent.

    Raises:
        ValueError: Two accounts would share names or tables, or the translator gives what assets can't have.

    Example:
        >>> defs = build_definitions(
        ...     Settings(name="shop_dk", schema="klaviyo_dk", api_key_variable="KLAVIYO_KEY_DK"),
        ...     Settings(name="shop_se", schema="klaviyo_se", api_key_variable="KLAVIYO_KEY_SE"),
        ... )
        >>> sorted(job.name for job in defs.resolve_all_job_defs() if job.name.endswith("_sync"))
        ['shop_dk_sync', 'shop_se_sync']
    """
    accounts = accounts or (Settings(),)
    require_distinct(accounts)
    return dg.Definitions.merge(
        *(
            _definitions(DescribedAssets(settings, translator, options), executor or executor_of(settings), clock)
            for settings in accounts
        )
    )


def build_klaviyo_asset_specs(
    settings: Settings, translator: DagsterKlaviyoTranslator | None = None
) -> list[dg.AssetSpec]:
    """Return what the tables of an account say of themselves, for a code location that only refers to them.

    There they are external assets: they can be depended on, looked up and watched, and are materialized where
    `build_definitions` is. What they depend on there is left out.

    Args:
        settings: Of the account, as they are there.
        translator: The one that is used there.

    Example:
        >>> specs = build_klaviyo_asset_specs(Settings(name="shop_dk", schema="klaviyo_dk"))
        >>> dg.AssetKey(["shop_dk", "event"]) in {spec.key for spec in specs}
        True
    """
    described = DescribedAssets(settings, translator)
    days = daily_partitions(settings)
    return [
        described.table(table.name).replace_attributes(
            deps=[], partitions_def=days if table.name in WITH_HISTORY else None
        )
        for table in enabled_tables(settings)
    ]


def _definitions(described: DescribedAssets, executor: dg.ExecutorDefinition, clock: Clock) -> dg.Definitions:
    settings = described.settings
    warehouse = warehouse_of(settings)
    incremental = build_incremental(described)
    snapshots, published = build_snapshots(described)
    whole = [
        *snapshots,
        *published,
        *build_memberships(described),
        *build_person_passes(described),
        *build_account_history(described),
    ]
    keys = {key for asset in (*incremental, *whole) for key in asset.keys}
    tables = [settings.table(table) for table in TABLES if described.key(table.name) in keys]
    checks = build_checks(described, tables)
    history, reconciliation = build_history(described, next_due), build_reconciliation(described)
    sync, backfill, full_refresh = build_jobs(
        settings,
        executor,
        incremental=incremental,
        whole=whole,
        history=history,
        reconciliation=reconciliation,
    )
    account = dg.Definitions(
        assets=[with_own_io_manager(settings, asset) for asset in (*incremental, *whole, history, reconciliation)],
        asset_checks=[checks],
        jobs=[
            sync,
            backfill,
            full_refresh,
            build_resync(described, executor, others=(sync.name, backfill.name)),
            build_rewrite(described, executor, others=(sync.name, backfill.name, full_refresh.name)),
        ],
        schedules=[build_schedule(described, sync, {*keys, *history.keys, *reconciliation.keys}, clock)],
        sensors=[build_sensor(described, backfill=backfill, others=[sync.name], incremental=incremental, clock=clock)],
        resources={
            account_key(settings): KlaviyoAccount(
                warehouse=warehouse,
                api_key_variable=settings.api_key_variable,
                api_url=settings.api_url,
                max_concurrency=settings.max_concurrency,
                rate_share=settings.rate_share,
                rate_limits=settings.rate_limits,
                rate_limits_variable=settings.rate_limits_variable,
                request_timeout=settings.request_timeout.total_seconds(),
                hash_salt_variable=settings.hash_salt_variable if settings.privacy.hashes else None,
                sparse_fields=sparse_fields(settings),
                shows_name=settings.privacy.policy(ACCOUNT_HISTORY).action(ORGANIZATION) is Action.KEEP,
            ),
            f"{settings.name}_warehouse": warehouse,
            io_manager_key(settings): WarehouseIOManager(warehouse=warehouse, delete_guard=settings.delete_guard),
        },
    )
    return dg.Definitions.merge(account, build_models(described, executor))
