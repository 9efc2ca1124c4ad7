"""All Python code that README, docs and docstrings show does what they say, as a user would try it."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import KlaviyoClient, read_windows
from klaviyo_assets.assets.io_manager import WarehouseIOManager
from klaviyo_assets.assets.options import StepOptions
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.assets.translator import DagsterKlaviyoTranslator
from klaviyo_assets.build import build_definitions, build_klaviyo_asset_specs
from klaviyo_assets.component import KlaviyoComponent
from klaviyo_assets.sandbox import Sandbox
from klaviyo_assets.schema.spec import Column, TableSpec
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.commands import environment
from klaviyo_assets_tests.documents import DOCUMENTS, README, modules

CODE = {
    f"{document.stem}-{number}.py": code
    for document in (README, *sorted(DOCUMENTS.glob("*.md")))
    for number, code in enumerate(modules(document))
}


VALIDATE = """
import sys
from dagster._cli import create_dagster_cli
for name in sys.argv[1:]:
    print("--", name, flush=True)
    try:
        create_dagster_cli()(["definitions", "validate", "-f", name], standalone_mode=False)
    except SystemExit as ended:
        if ended.code:
            sys.exit(f"{name} does not load")
"""
"""Loads one after the other, as `dagster definitions validate` does with one: several would get a server each."""


def test_the_code_of_the_documents_loads_in_dagster(tmp_path: Path) -> None:
    assert len(CODE) >= 3
    for name, code in CODE.items():
        (tmp_path / name).write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VALIDATE, *CODE],
        cwd=tmp_path,
        env=environment(DAGSTER_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    loaded = re.findall(r"Validation successful for code location (\S+\.py)", said)
    assert (loaded, done.returncode) == ([*CODE], 0), said


EXAMPLES = (
    Settings,
    build_definitions,
    build_klaviyo_asset_specs,
    DagsterKlaviyoTranslator,
    StepOptions,
    KlaviyoComponent,
    KlaviyoAccount,
    WarehouseIOManager,
    DuckDBWarehouse,
    KlaviyoClient,
    read_windows,
    TableSpec,
    Column,
    Sandbox,
)
"""What users and contributors import: each shows an example."""


@pytest.mark.parametrize("documented", EXAMPLES, ids=lambda documented: documented.__name__)
def test_the_examples_of_docstrings_are_true(
    documented: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(documented, documented.__name__, module=sys.modules[documented.__module__])
    assert example.examples, "it shows none"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(example)
    assert not runner.failures, capsys.readouterr().out
