"""ACCOUNT_HISTORY: the account's settings, a new row each time that they changed."""

from collections.abc import Iterator

import dagster as dg

from klaviyo_assets.assets.described import DescribedAssets, asset_out, deps_of
from klaviyo_assets.assets.pools import pool
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.specs import account_key
from klaviyo_assets.assets.step import SnapshotConfig, Step
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.tables import accounts
from klaviyo_assets.tables.accounts import ACCOUNT_HISTORY
from klaviyo_assets.tables.jsonapi import Row
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.extract import Extract


def build_account_history(described: DescribedAssets) -> list[dg.AssetsDefinition]:
    """Return the asset, unless the table is off."""
    settings = described.settings
    table = settings.table(ACCOUNT_HISTORY)
    if not settings.enabled(table):
        return []
    spec = described.table(table.name)

    @dg.multi_asset(
        name=f"{settings.name}__{table.name}",
        outs={table.name: asset_out(settings, spec, Extract, is_required=False)},
        deps=deps_of([spec]),
        required_resource_keys={account_key(settings)},
        **described.options.of_asset(pool(settings, "small")),
    )
    @described.options.executed
    def account_history(context: dg.AssetExecutionContext, config: SnapshotConfig) -> Iterator[dg.Output[Extract]]:
        with Step(settings, context, [table]) as step:
            due = step.is_due(table.name, "", table.cadence)
            if step.skips(config, due=due, what="The account is"):
                return
            document = step.account.client.get("get_accounts", "/accounts", many=True).json()
            lost = Lost()
            with noting() as step.misshapen:
                columns = Columns.of_rows(accounts.rows(document, step.now)[table.name], table.types)
            batch = typed_batch(table.policy.apply(columns) if table.policy else columns, table, on_lost=lost.add)
            step.losses(lost)
            unchanged = _settings(batch.to_pylist()) == _settings(_latest(step.account, table))
            rows = [] if unchanged else [batch]
            extract = Extract(table, rows, began=step.began, states=(step.state(table.name),))
            yield dg.Output(extract, output_name=table.name)

    return [account_history]


def _latest(account: KlaviyoAccount, table: Table) -> list[Row]:
    """Return the row of each account that was read last, which need not have the greatest `observed_at`."""
    names = list(table.types)
    rows = [dict(zip(names, row, strict=True)) for row in account.warehouse.rows(table.name, names, as_read=True)]
    return list({row["id"]: row for row in rows}.values())


def _settings(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "observed_at"} for row in rows]
