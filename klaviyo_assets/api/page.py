"""A page: one successful answer of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

import msgspec

from klaviyo_assets.schema.decoding import FAILURES, decoded, repaired


class _Links(msgspec.Struct):
    next: str | None = None


class _Document(msgspec.Struct):
    data: msgspec.Raw
    links: msgspec.Raw = msgspec.Raw(b"null")


_document = msgspec.json.Decoder(_Document)
_links = msgspec.json.Decoder(_Links | None)
_anything = msgspec.json.Decoder()
_list = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NO_LINKS = (b"[]", b'""', b"false")


@dataclass(frozen=True, eq=False)
class Page:
    """One JSON:API document.

    `content` is valid JSON in UTF-8 (what is no JSON, such as `NaN`, is text already), `next` the address of the
    following page or None, `operation` the operation that it answers, `size` the page size that was asked for (None:
    Klaviyo's own), `data` the slice of `content` with the resource object(s). `may_go_on`: there is no such address,
    but only because nobody can read the link.
    """

    content: bytes = field(repr=False)
    next: str | None = field(repr=False)
    operation: str
    size: int | None = None
    data: msgspec.Raw = field(default_factory=msgspec.Raw, repr=False)
    may_go_on: bool = False

    @classmethod
    def of(cls, content: bytes, operation: str, size: int | None = None, *, many: bool = False) -> Page:
        """Raises ValueError, with the reason, if the content is not a JSON:API document with `data`.

        many: `data` has to be a list. Null would look like an empty collection.
        """
        if not content.isascii():
            content.decode()  # msgspec does not look into the strings that it skips
        try:
            try:
                document = _document.decode(content)
            except FAILURES:
                content = repaired(content)
                document = _document.decode(content)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        first = bytes(memoryview(document.data)[:1])
        if many and first != b"[":
            raise ValueError("its `data` is no list")
        if first not in (b"[", b"{", b"n"):
            raise ValueError("its `data` is neither a list nor an object")
        try:
            links = _links.decode(document.links)
        except FAILURES:
            may_go_on = bytes(document.links) not in _NO_LINKS
            return cls(content, None, operation, size, document.data, may_go_on)
        return cls(content, (links.next if links else None) or None, operation, size, document.data)

    def json(self) -> Any:
        """The document as Python objects, parsed anew by each call. Integers are exact; decimals become floats."""
        return decoded(_anything, self.content)

    @cached_property
    def rows(self) -> int:
        """The number of resource objects in `data`: of a list its length, else 1, or 0 for null."""
        return len(_resources(self.data))

    @property
    def is_full(self) -> bool:
        """Whether it has as many rows as were asked for, as far as that is known: another page may follow."""
        return self.size is None or self.rows >= self.size


def attribute_times(name: str) -> Callable[[Page], Sequence[datetime | None]]:
    """A function that returns the times of a page's rows, in their order, from their attribute `name`.

    Aware datetimes; None where the attribute is null, missing or no time. This is the `times` of `read_windows`.
    """
    kind = Annotated[datetime, msgspec.Meta(tz=True)] | None
    attributes = msgspec.defstruct("Attributes", [("value", kind, None)], rename={"value": name}, gc=False)
    row = msgspec.defstruct("Row", [("attributes", attributes)], gc=False)
    rows: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]

    def times(page: Page) -> list[datetime | None]:
        try:
            return [resource.attributes.value for resource in rows.decode(page.data)]
        except FAILURES:  # one of them is no time: only those that are none are None
            return [_time(resource, name) for resource in _resources(page.data)]

    return times


def _resources(data: msgspec.Raw) -> list[msgspec.Raw]:
    first = bytes(memoryview(data)[:1])
    if first == b"[":
        return decoded(_list, data)
    return [] if first == b"n" else [data]


def _time(resource: msgspec.Raw, name: str) -> datetime | None:
    try:
        value = decoded(_object, decoded(_object, resource)["attributes"])[name]
        time = datetime.fromisoformat(msgspec.json.decode(value, type=str))
    except (KeyError, ValueError, *FAILURES):
        return None
    return time if time.tzinfo else None
