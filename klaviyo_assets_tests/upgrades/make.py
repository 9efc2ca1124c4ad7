"""Make the warehouse of an earlier version, from what this tree's sandbox serves.

    git worktree add ../0.1.0 7291678
    pip install --target ../duckdb duckdb==1.4.1
    python -m klaviyo_assets_tests.upgrades.make ../0.1.0 ../duckdb klaviyo_assets_tests/upgrades/0.1.0.duckdb.xz

7291678 is the commit that closed the section of 0.1.0 in the changelog. The first two arguments are looked for modules
first; the DuckDB is the oldest that is supported, whose files all later ones read. Make it anew when the simulated
account of a seed becomes another.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets_tests.upgrades.story import DAY, before_each_sync

EARLIER = """
import datetime as dt, json, sys
import dagster as dg
from klaviyo_assets import clock
from klaviyo_assets.build import build_definitions
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES

url, file, now, first, last = json.loads(sys.argv[1])
clock.machine_time = lambda: dt.datetime.fromisoformat(now)
tables = {table.name: "report" not in table.name for table in TABLES}
definitions = build_definitions(
    Settings(api_url=url, duckdb_path=file, tables=tables, memberships="weekly", first_sync_days=3)
)
days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
with dg.DagsterInstance.ephemeral() as instance:
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    job = definitions.resolve_job_def("klaviyo_sync")
    job.execute_in_process(instance=instance, tags=days, run_config=quiet, raise_on_error=False)
"""
"""A process of the earlier version, which syncs every table but the reports: the account has no revenue."""


def make(paths: list[str], target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.duckdb"
        for account in before_each_sync():
            now = account.clock.now()
            with Sandbox(account) as sandbox:
                order = [sandbox.url, str(file), now.isoformat()]
                order += [str((now - 3 * DAY).date()), str(now.date())]
                subprocess.run(
                    [sys.executable, "-c", EARLIER, json.dumps(order)],
                    env={**os.environ, "PYTHONPATH": ":".join(paths), "KLAVIYO_API_KEY": "pk_sandbox"},
                    cwd=folder,
                    check=True,
                )
        target.write_bytes(lzma.compress(file.read_bytes(), preset=9))


if __name__ == "__main__":
    *found, written = sys.argv[1:]
    make([str(Path(path).absolute()) for path in found], Path(written))
