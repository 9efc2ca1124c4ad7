"""dbt for tests that build often: each build is a process of its own, forked from one that has imported dbt already."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from klaviyo_assets.models import run


@contextmanager
def forked(arguments: Sequence[str], folder: Path, more: Mapping[str, str]) -> Iterator[Iterator[str]]:
    """Run dbt as `klaviyo_assets.models.run` does, and give the lines that it has printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb"])
    with tempfile.NamedTemporaryFile("r") as printed:
        process = context.Process(target=_build, args=([*run.FLAGS, *arguments], folder, more, printed.name))
        process.start()
        process.join()
        yield iter(printed)


def _build(arguments: Sequence[str], folder: Path, more: Mapping[str, str], output: str) -> None:
    from dbt.cli.main import cli

    with Path(output).open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("DBT_")]:
        del os.environ[name]
    os.environ.update(more)
    cli(arguments)
