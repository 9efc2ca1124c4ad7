"""What README and docs show: Python code, as the modules that a user makes of it, other blocks, and commands."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
DOCUMENTS = README.with_name("docs")

ALL = (README, README.with_name("CONTRIBUTING.md"), *sorted(DOCUMENTS.glob("*.md")))

_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)


def blocks(document: Path, language: str) -> list[str]:
    """Return the blocks of a document that are in a language, without the indentation of a list."""
    return [textwrap.dedent(block) for of, block in _BLOCK.findall(document.read_text()) if of == language]


def lines(document: Path) -> list[str]:
    """Return what a document has people type, or speaks of: lines of a shell and words between backticks."""
    shell = [line for block in blocks(document, "sh") for line in block.splitlines()]
    prose = _BLOCK.sub("", document.read_text())
    written = [re.split(r"\s+#", line)[0].strip() for line in [*shell, *_INDENTED.findall(prose)]]
    typed = [part.strip() for line in written for part in line.split("&&")]
    return [line for line in typed if line] + [" ".join(words.split()) for words in _INLINE.findall(prose)]


def modules(document: Path) -> list[str]:
    """Return the code of a document: a module goes on from block to block until it has its `defs`."""
    found = [""]
    for block in blocks(document, "python"):
        found[-1] += block + "\n"
        if re.search(r"^defs = ", block, re.MULTILINE):
            found.append("")
    return [code for code in found if code]
