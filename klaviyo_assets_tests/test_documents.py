"""All Python code that README and docs show loads in Dagster, as a user would try it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from klaviyo_assets_tests.documents import DOCUMENTS, README, modules

CODE = [
    pytest.param(code, id=f"{document.stem}-{number}")
    for document in (README, *sorted(DOCUMENTS.glob("*.md")))
    for number, code in enumerate(modules(document))
]


def test_there_is_code() -> None:
    assert len(CODE) >= 3


@pytest.mark.parametrize("code", CODE)
def test_code_of_the_documents_loads_in_dagster(code: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-f", "mine.py"],
        cwd=tmp_path,
        env={**environment, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
