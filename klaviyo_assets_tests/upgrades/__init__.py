"""Warehouses that earlier versions have written are opened by this one, and synced on."""

from __future__ import annotations

import lzma
from pathlib import Path

EARLIER = ("0.1.0",)
"""The versions whose warehouses there are."""


def unpack(version: str, file: Path) -> Path:
    """Write the warehouse of an earlier version to a file, and return that; `make` says how it was made."""
    file.write_bytes(lzma.decompress((Path(__file__).parent / f"{version}.duckdb.xz").read_bytes()))
    return file
