"""ACCOUNT_HISTORY: the account's settings, a new row each time that they changed."""

from collections.abc import Iterator

import dagster as dg

from klaviyo_assets.api import NotPermitted
from klaviyo_assets.assets.losses import warn_of_lost
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.run_tags import is_incremental
from klaviyo_assets.assets.snapshots import SnapshotConfig, skip_or_raise
from klaviyo_assets.assets.specs import asset_out, table_spec
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.due import is_due
from klaviyo_assets.tables import accounts
from klaviyo_assets.tables.accounts import ACCOUNT_HISTORY
from klaviyo_assets.tables.jsonapi import Row
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.state import SyncState


def build_account_history(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the asset, unless the table is off."""
    table = settings.table(ACCOUNT_HISTORY)
    if not settings.enabled(table):
        return []

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, table_spec(settings, table, group="core"), Extract, is_required=False)},
        required_resource_keys={settings.name},
    )
    def account_history(context: dg.AssetExecutionContext, config: SnapshotConfig) -> Iterator[dg.Output[Extract]]:
        account: KlaviyoAccount = getattr(context.resources, settings.name)
        start = account.start(context.log.warning, [table])
        now, incremental = start.now, is_incremental(context, config.only_due)
        if incremental and not is_due(settings, start.states, table.name, "", table.cadence, now):
            context.log.info("The account is not due yet.")
            return
        try:
            document = account.client.get("get_accounts", "/accounts").json()
        except NotPermitted as error:
            skip_or_raise(settings, context, error, [table])
            return
        lost = Lost()
        with noting() as misshapen:
            columns = Columns.of_rows(accounts.rows(document, now)[table.name], table.types)
        batch = typed_batch(table.policy.apply(columns) if table.policy else columns, table, on_lost=lost.add)
        warn_of_lost(context, [table], misshapen, lost)
        unchanged = _settings(batch.to_pylist()) == _settings(_latest(account, table))
        state = SyncState(table.name, "", synced_through=now, complete=True, run_id=context.run.run_id)
        rows = [] if unchanged else [batch]
        yield dg.Output(Extract(table, rows, began=start.began, states=(state,)), output_name=table.name)

    return [account_history]


def _latest(account: KlaviyoAccount, table: Table) -> list[Row]:
    """Return the row of each account that was read last, which a clock may have kept from being the latest one."""
    names = list(table.types)
    rows = [dict(zip(names, row, strict=True)) for row in account.warehouse.rows(table.name, names, as_read=True)]
    return list({row["id"]: row for row in rows}.values())


def _settings(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "observed_at"} for row in rows]
