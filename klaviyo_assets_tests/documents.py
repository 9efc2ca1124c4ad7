"""The Python code that README and docs show, as the modules that a user makes of it."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
DOCUMENTS = README.with_name("docs")

_BLOCK = re.compile(r"^ *```(?:python|py)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def modules(document: Path) -> list[str]:
    """Return the code of a document: a module goes on from block to block until it has its `defs`."""
    found = [""]
    for block in _BLOCK.findall(document.read_text()):
        found[-1] += block + "\n"
        if re.search(r"^defs = ", block, re.MULTILINE):
            found.append("")
    return [code for code in found if code]
