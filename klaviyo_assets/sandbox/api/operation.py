"""What an operation of the API is: its path, parameters, scopes and limits. The operations are in `operations`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["text", "date", "number", "flag", "relation"]

COMPARISONS = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")
MATCHES = ("contains", "ends-with", "equals", "starts-with")


class Rate(NamedTuple):
    """Requests allowed per second, per minute and (reports only) per day."""

    burst: int
    steady: int
    daily: int | None = None


XS, S, M, L, XL = Rate(1, 15), Rate(3, 60), Rate(10, 150), Rate(75, 750), Rate(350, 3500)
REPORT = Rate(1, 2, 225)


class ParameterRate(NamedTuple):
    """A stricter rate for requests that ask for an additional field, shared by all operations that offer it."""

    type: str
    field: str
    rate: Rate


class Page(NamedTuple):
    """Default and greatest page size; a greatest of None means that `page[size]` is refused."""

    default: int
    maximum: int | None


CURSOR_ONLY = Page(200, None)


class Filter(NamedTuple):
    """What may be asked of a field: operators with one value, operators with a list, and the values allowed.

    A `past` date must not lie in the future, nor within some seconds of now.
    """

    kind: Kind
    operators: tuple[str, ...]
    list_operators: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    past: bool = True


class Cursor(NamedTuple):
    """What a page cursor holds besides the value that the page is sorted by.

    Without `unique`, Klaviyo's cursor lacks the id that would tell rows with equal values apart. `others` are further
    fields that rows are sorted by, and that the cursor holds under their names without `_at`.
    """

    unique: bool = True
    others: tuple[str, ...] = ()

    def fields(self, sort: str) -> tuple[str, ...]:
        """All fields that rows are sorted by, given the first."""
        return (sort, *(name for name in self.others if name != sort))

    def name(self, field: str) -> str:
        """The name of a field inside the cursor."""
        return field.removesuffix("_at") if self.others else field


KEYSET = Cursor()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: GET of a collection, a resource, a related collection or its ids, or POST of a query.

    `path` is below `/api` and may hold one `{id}`; `type` is that of the primary data. `sort` is the default order.
    `required` names filter fields of which one has to be there, `ignored` those that Klaviyo accepts without effect,
    `failing` the filters, as `any(form_type)`, that it answers with 500.
    `extra_fields` are attributes that this operation shows besides the usual ones. `next` and `prev` links are null
    at the ends of a collection, or left out when `bare_links`. `since` is the first revision that has the operation, or
    has it so, where that is not the pinned one; `omnichannel` operations show campaigns as that one does.
    """

    id: str
    path: str
    type: str
    rate: Rate
    scopes: tuple[str, ...]
    method: Literal["GET", "POST"] = "GET"
    page: Page | None = None
    filters: Mapping[str, Filter] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    sort: str = "id"
    includes: tuple[str, ...] = ()
    additional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra_fields: tuple[str, ...] = ()
    parameter_rate: ParameterRate | None = None
    cursor: Cursor = KEYSET
    bare_links: bool = False
    since: str = ""
    omnichannel: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in pieces."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def by_id(self) -> bool:
        """Whether it returns the one resource that the path names."""
        return len(self.segments) == 2

    @property
    def ids_only(self) -> bool:
        """Whether it returns resource identifiers (`/relationships/...`)."""
        return len(self.segments) == 4

    @property
    def relationship(self) -> str | None:
        """The relationship whose targets it returns, or None for a collection or resource."""
        return self.segments[-1] if len(self.segments) > 2 else None


def text(*operators: str, choices: tuple[str, ...] = ()) -> Filter:
    """A filter of text; an operator written `any[]` takes a list."""
    lists = tuple(name[:-2] for name in operators if name.endswith("[]"))
    return Filter("text", tuple(name for name in operators if not name.endswith("[]")), lists, choices)


def date(*operators: str, past: bool = True) -> Filter:
    """A filter of datetimes, by comparison unless other operators are given."""
    return Filter("date", operators or COMPARISONS, past=past)


def number(*operators: str) -> Filter:
    """A filter of numbers."""
    lists = tuple(name[:-2] for name in operators if name.endswith("[]"))
    return Filter("number", tuple(name for name in operators if not name.endswith("[]")), lists)


def flag(*operators: str) -> Filter:
    """A filter of booleans: `equals` unless others are given."""
    lists = tuple(name[:-2] for name in operators if name.endswith("[]"))
    return Filter("flag", tuple(name for name in operators if not name.endswith("[]")) or ("equals",), lists)


HAS = Filter("relation", ("has",))
"""A filter by the presence of a relationship."""
