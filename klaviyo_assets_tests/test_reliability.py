"""docs/reliability.md names tests: each exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "reliability.md"


def test_every_line_names_tests_that_exist() -> None:
    defined = {
        name for file in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and " test |" not in line]
    assert len(lines) > 30
    for line in lines:
        named = re.findall(r"`(test_\w+)`", line.split("|")[-2])
        assert named, line
        assert set(named) <= defined, line
