"""A page: one successful answer of the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

import msgspec

# A pair of surrogates is one character; a surrogate without its other half is none, and JSON parsers refuse it.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)


class _Links(msgspec.Struct):
    next: str | None = None


class _Document(msgspec.Struct):
    data: msgspec.Raw
    links: _Links | None = None


@dataclass(frozen=True, eq=False)
class Page:
    """One JSON:API document.

    `content` is valid JSON in UTF-8 (lone surrogate escapes are already U+FFFD), `next` the address of the following
    page or None, `operation` the operation that it answers, `size` the page size that was asked for (None: Klaviyo's
    own), `data` the slice of `content` with the resource object(s).
    """

    content: bytes = field(repr=False)
    next: str | None = field(repr=False)
    operation: str
    size: int | None = None
    data: msgspec.Raw = field(default_factory=msgspec.Raw, repr=False)

    @classmethod
    def of(cls, content: bytes, operation: str, size: int | None = None) -> Page:
        """Raises ValueError, with the reason, if the content is not a JSON:API document with `data`."""
        if not content.isascii():
            content.decode()  # msgspec does not look into the strings that it skips
        try:
            try:
                document = msgspec.json.decode(content, type=_Document)
            except msgspec.DecodeError:
                content = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], content)
                document = msgspec.json.decode(content, type=_Document)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        next_page = document.links.next if document.links else None
        return cls(content, next_page or None, operation, size, document.data)

    def json(self) -> Any:
        """The document as Python objects, parsed anew by each call. Integers are exact; decimals become floats."""
        return msgspec.json.decode(self.content)

    @cached_property
    def rows(self) -> int:
        """The number of resource objects in `data`: of a list its length, else 1, or 0 for null."""
        first = bytes(memoryview(self.data)[:1])
        if first == b"[":
            return len(msgspec.json.decode(self.data, type=list[msgspec.Raw]))
        return 0 if first == b"n" else 1


def attribute_times(name: str) -> Callable[[Page], Sequence[datetime | None]]:
    """A function that returns the times of a page's rows, in their order, from their attribute `name`.

    Aware datetimes; None where the attribute is null, missing or no time. This is the `times` of `read_windows`.
    """
    aware = _rows_with(name, Annotated[datetime, msgspec.Meta(tz=True)] | None, None)
    anything = _rows_with(name, msgspec.Raw, msgspec.Raw(b"null"))

    def times(page: Page) -> list[datetime | None]:
        try:
            return [row.attributes.value for row in aware.decode(page.data)]
        except msgspec.ValidationError:  # one of them is no time: only those that are none are None
            return [_time(row.attributes.value) for row in anything.decode(page.data)]

    return times


def _rows_with(name: str, kind: Any, default: Any) -> msgspec.json.Decoder[Any]:
    attributes = msgspec.defstruct("Attributes", [("value", kind, default)], rename={"value": name}, gc=False)
    row = msgspec.defstruct("Row", [("attributes", attributes)], gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def _time(raw: msgspec.Raw) -> datetime | None:
    try:
        time = datetime.fromisoformat(msgspec.json.decode(raw, type=str))
    except (ValueError, msgspec.ValidationError):
        return None
    return time if time.tzinfo else None
