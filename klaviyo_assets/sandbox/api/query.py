"""The query parameters of a request, checked against its operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from klaviyo_assets.sandbox.account.relations import relation
from klaviyo_assets.sandbox.api.errors import ApiError, invalid
from klaviyo_assets.sandbox.api.filters import Condition, parse_filter
from klaviyo_assets.sandbox.api.operation import Operation, ParameterRate
from klaviyo_assets.sandbox.api.operations import ADDED, FIELDS, OMNICHANNEL_FIELDS
from klaviyo_assets.sandbox.faults import OddPage

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Query:
    """A checked request: `fields` and `additional` map types to attribute names; `cursor` is still encoded.

    `revision` is that of the request. `odd` is what is wrong with the page that answers it.
    """

    operation: Operation
    revision: str
    pairs: Pairs
    conditions: tuple[Condition, ...]
    sort: str
    size: int | None
    cursor: str | None
    includes: tuple[str, ...]
    fields: dict[str, frozenset[str]]
    additional: dict[str, frozenset[str]]
    odd: OddPage = OddPage()  # noqa: RUF009 - frozen

    @property
    def descending(self) -> bool:
        """Whether the greatest value of the sort field comes first."""
        return self.sort.startswith("-")

    @property
    def sort_field(self) -> str:
        """The field that rows are ordered by."""
        return self.sort.removeprefix("-")

    def shown(self, type: str) -> frozenset[str]:
        """Attributes hidden by default that this request gets for a type."""
        extra = self.operation.extra_fields if type == self.operation.type else ()
        return self.additional.get(type, frozenset()) | frozenset(extra)

    def knows(self, type: str, attribute: str) -> bool:
        """Whether the revision of the request has an attribute of a type."""
        return _knows(self.revision, type, attribute)

    def link(self, url: str, cursor: str | None = None) -> str:
        """`url` with the parameters of the request, on the page of `cursor` if one is given."""
        pairs = list(self.pairs)
        if cursor is not None:
            name = "page_cursor" if self.operation.method == "POST" else "page[cursor]"
            pairs = [pair for pair in pairs if pair[0] != name] + [(name, cursor)]
        return f"{url}?{urlencode(pairs)}" if pairs else url


def parse_query(operation: Operation, pairs: Pairs, now: datetime, revision: str = "") -> Query:
    """Check the parameters; raises the `ApiError` that Klaviyo answers to those it does not allow or fails on."""
    values = dict(pairs)
    conditions = parse_filter(values["filter"], operation.filters, now) if values.get("filter") else []
    if any(f"{each.operator}({each.field})" in operation.failing for each in conditions):
        raise ApiError(500, "error", "A server error occurred.")
    asked = {condition.field for condition in conditions}
    if operation.required and not asked & set(operation.required):
        wanted = " or ".join(operation.required)
        raise invalid(f"A filter on {wanted} is required for this resource.", parameter="filter")
    sort = _sort(operation, values.get("sort"), conditions)
    includes = _list(values.get("include"))
    for name in includes:
        if name not in operation.includes:
            raise invalid(f"'{name}' is not an allowed include parameter for this resource.", parameter="include")
    return Query(
        operation=operation,
        revision=revision,
        pairs=pairs,
        conditions=tuple(c for c in conditions if c.field not in operation.ignored),
        sort=sort,
        size=_size(operation, values),
        cursor=values.get("page[cursor]"),
        includes=includes,
        fields=_fields(operation, pairs, revision),
        additional=_additional(operation, pairs),
    )


def parameter_rate(operation: Operation, pairs: Pairs) -> ParameterRate | None:
    """The stricter rate that this request falls under, before its parameters are checked."""
    rate = operation.parameter_rate
    if rate and rate.field in _list(dict(pairs).get(f"additional-fields[{rate.type}]")):
        return rate
    return None


def _list(value: str | None) -> tuple[str, ...]:
    return tuple(value.split(",")) if value else ()


def _sort(operation: Operation, sort: str | None, conditions: list[Condition]) -> str:
    if sort is None:
        return operation.sort
    field = sort.removeprefix("-")
    if field not in operation.sorts:
        allowed = ", ".join(operation.sorts)
        raise invalid(
            f"'{sort}' is not an allowed sort field for this resource.  Allowed sort fields are {allowed}",
            parameter="sort",
        )
    dated = {c.field for c in conditions if c.field in ("created", "updated")}
    if operation.type in ("flow", "flow-action") and dated and dated != {field}:
        raise invalid("If a date filter is provided, sort field must also match or be omitted.", parameter="sort")
    return sort


def _size(operation: Operation, values: dict[str, str]) -> int | None:
    page = operation.page
    for name in values:
        allowed = page is not None and (name == "page[cursor]" or page.maximum is not None)
        if name.startswith("page[") and (name not in ("page[size]", "page[cursor]") or not allowed):
            raise invalid(f"'{name}' is not an allowed page parameter for this resource.", parameter=name)
    if page is None:
        return None
    raw = values.get("page[size]")
    if raw is None or page.maximum is None:
        return page.default
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= page.maximum:
        raise invalid(f"Page size must be an integer between 1 and {page.maximum}: {raw}", parameter="page[size]")
    return int(raw)


def _fields(operation: Operation, pairs: Pairs, revision: str) -> dict[str, frozenset[str]]:
    known = {operation.type, *_include_types(operation)}
    found = {}
    for name, value in pairs:
        if not name.startswith("fields["):
            continue
        kind = name[len("fields[") : -1]
        if kind not in known:
            raise invalid(f"'{kind}' is not an allowed type for sparse fieldsets.", parameter=name)
        later = operation.omnichannel or kind not in FIELDS
        fields = (OMNICHANNEL_FIELDS if later else FIELDS).get(kind) or FIELDS[kind]
        added = (name for name in ADDED.get(kind, ()) if _knows(revision, kind, name))
        allowed = {"id", *fields, *added, *(operation.extra_fields if kind == operation.type else ())}
        for field in _list(value):
            if field.partition(".")[0] not in allowed:
                raise invalid(f"'{field}' is not an allowed field for {kind}.", parameter=name)
        found[kind] = frozenset(_list(value))
    return found


def _knows(revision: str, type: str, attribute: str) -> bool:
    return ADDED.get(type, {}).get(attribute, "") <= revision


def _additional(operation: Operation, pairs: Pairs) -> dict[str, frozenset[str]]:
    found = {}
    for name, value in pairs:
        if not name.startswith("additional-fields["):
            continue
        kind = name[len("additional-fields[") : -1]
        allowed = operation.additional.get(kind, ())
        for field in _list(value):
            if field not in allowed:
                raise invalid(f"'{field}' is not an allowed additional field for {kind}.", parameter=name)
        found[kind] = frozenset(_list(value))
    return found


def _include_types(operation: Operation) -> list[str]:
    found = (relation(operation.type, name) for name in operation.includes)
    return [each.target for each in found if each]
