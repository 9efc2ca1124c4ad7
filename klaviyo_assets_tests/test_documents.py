"""All Python code that README and docs show loads in Dagster, as a user would try it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
