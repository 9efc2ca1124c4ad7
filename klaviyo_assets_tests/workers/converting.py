"""What tests have workers do with pages, and reads in processes of their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from klaviyo_assets.schema.columns import Batch, Columns
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.warehouse.spool import Room, SpoolWriter, temporary_spool
from klaviyo_assets.workers.conversion import Convert
from klaviyo_assets.workers.spooling import spool_pages

THING = TableSpec(name="thing", columns=(Column("id", Type.TEXT), Column("pid", Type.BIGINT)), primary_key=("id",))


class Refused(Exception):
    """An error that does not come out of a pickle as it went in."""

    def __init__(self, page: str, reason: str) -> None:
        super().__init__(f"{page}: {reason}")


def thing(page: bytes) -> Batch:
    """Make a row of a page: its content, and the process that did it."""
    return {THING.name: Columns(1, {"id": [page.decode()], "pid": [os.getpid()]})}


def talkative(page: bytes) -> Batch:
    """Print what is in the page, as libraries do, and read what is there to be read."""
    print(page.decode(), sys.stdin.read())  # noqa: T201
    return thing(page)


def refusing(page: bytes) -> Batch:
    """Refuse one of the pages."""
    if page == b"bad":
        raise Refused("bad", "no JSON")
    return thing(page)


def exhausting(page: bytes) -> Batch:
    """Need more memory than there is for one of the pages."""
    return thing(page * (sys.maxsize // 3 if page == b"bad" else 1))


def leaving(page: bytes) -> Batch:
    """End the process at one of the pages."""
    if page == b"bad":
        os._exit(7)
    return thing(page)


class _Missing:
    """Needs a module that is not there where it comes out of the pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, ("klaviyo_assets.missing",)

    def __call__(self, page: bytes) -> Batch:
        return thing(page)


missing = _Missing()


def endless(page: bytes) -> Batch:
    """Say which process has it, and never be done."""
    Path(page.decode(), str(os.getpid())).touch()
    time.sleep(3600)
    return {}


@contextmanager
def spooled(
    pages: Iterable[bytes], convert: Convert, processes: int = 2, long: float = 0.0
) -> Iterator[tuple[SpoolWriter, Lost]]:
    """Spool pages to `THING` without waiting for them to be many."""
    with temporary_spool(Room()) as spool, noting() as misshapen:
        writer = SpoolWriter(THING, spool)
        spool_pages(pages, convert, {THING.name: writer}, misshapen, processes=processes, long=long)
        yield writer, misshapen


def spool_a_page(folder: Path) -> None:
    """Have a page spooled by another process, and say so."""
    with spooled([b"a"], thing) as (writer, _):
        if writer.spool.rows == 1:
            (folder / "done").touch()
