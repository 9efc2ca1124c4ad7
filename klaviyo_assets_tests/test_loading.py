"""What is imported for a run, which the garbage collector leaves alone."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from klaviyo_assets.loading import load_libraries
from klaviyo_assets_tests.commands import environment

SAYS = "import gc; print(gc.get_freeze_count() > 50_000, gc.isenabled())"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import klaviyo_assets.definitions as d; d.defs", "True True"),
        ("from klaviyo_assets.definitions import build_definitions as b; b()", "True True"),
        ("import gc; gc.disable(); import klaviyo_assets.definitions as d; d.defs", "True False"),
        ("import duckdb, klaviyo_assets.definitions as d; d.defs", "False True"),
        ("from klaviyo_assets import build_definitions as b; b()", "False True"),
    ],
    ids=["our own process", "one that builds its own", "without a collector", "with DuckDB", "somebody else's"],
)
def test_the_collector_leaves_the_libraries_alone_in_processes_of_ours(code: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SAYS}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, ""), "DuckDB says what it misses at the end"


def test_where_duckdb_is_imported_nothing_happens() -> None:
    before = gc.get_freeze_count()
    load_libraries()
    assert gc.get_freeze_count() == before and gc.isenabled()
