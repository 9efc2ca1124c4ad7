r"""From the bytes of an answer to values, such that one bad value costs nothing but itself.

Pages are decoded as they are. Only after an error they are looked through: first for what is no JSON or more than a
JSON parser takes (`repaired`), then for values of another shape than a column needs (`Lenient`).
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from klaviyo_assets.schema.values import json_text

T = TypeVar("T")
Note = Callable[[str | None, str], None]
"""Called with the id of a resource and the field of it, dotted, whose value was given up."""

FAILURES = (msgspec.DecodeError, RecursionError)

MOST_LEVELS = 500
"""Values that are nested deeper, on a page that is too deep as a whole, become text. Parsers and databases recurse."""

_MOST_DIGITS = 4300  # of an integer, for Python
_FIELD, _LIST_FIELD = 6, 5  # levels of a page at which a property, or an attribute that is a list, begins

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_SUSPICIOUS = re.compile(
    _STRING + rb"|-?(?:NaN|Infinity)"
    rb"|(?<![0-9.eE+-])-?(?:[0-9]{300,}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{3,})",
    re.DOTALL,
)
_BRACKET = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f]")
# A pair of surrogates is one character; a surrogate without its other half is none.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class _Anything(msgspec.Struct):
    pass


_skim = msgspec.json.Decoder(_Anything | list[msgspec.Raw] | None)


def repaired(content: bytes) -> bytes:
    r"""Return a page with text in place of what JSON parsers refuse.

    `NaN`, `Infinity`, numbers beyond the largest double, integers of more than 4,300 digits and properties that are
    nested too deep become strings of the same characters; half a surrogate pair (`"\ud83d"`) becomes U+FFFD.
    """
    content = _SUSPICIOUS.sub(_mended, content)
    try:
        _skim.decode(content)
    except RecursionError:
        content = _flattened(content)
    except msgspec.DecodeError:
        pass  # whoever decodes it says so
    return content


def decoded(decoder: msgspec.json.Decoder[T], content: bytes | msgspec.Raw) -> T:
    """Decode a page, repaired if need be.

    Raises msgspec.DecodeError if the page is no JSON, msgspec.ValidationError if it has another shape.
    """
    try:
        return decoder.decode(content)
    except FAILURES:
        pass
    return decoder.decode(repaired(bytes(content)))


def _mended(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if token.startswith(b'"'):
        if b"\\u" in token:
            token = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], token)
        return _CONTROL.sub(lambda control: rb"\u%04x" % control[0][0], token)
    return token if _is_in_range(token) else b'"%s"' % token


def _is_in_range(token: bytes) -> bool:
    if token.lstrip(b"-").isdigit():
        return len(token.lstrip(b"-")) <= _MOST_DIGITS
    return math.isfinite(float(token))


def _flattened(content: bytes) -> bytes:
    """Return a page with the outermost fields that are too deep as strings of their JSON text."""
    pieces: list[bytes] = []
    depth = done = 0
    start = deepest = level = 0  # of the field that the scan is in, if level is not 0
    for match in _BRACKET.finditer(content):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            if not level and depth >= (_LIST_FIELD if token == b"[" else _FIELD):
                level, start, deepest = depth, match.start(), depth
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            if level == depth:
                if deepest > MOST_LEVELS:
                    text = msgspec.json.encode(content[start : match.end()].decode())
                    pieces += content[done:start], text
                    done = match.end()
                level = 0
            depth -= 1
    return b"".join([*pieces, content[done:]])


# Shapes


class Lenient(Generic[T]):
    """A decoder of pages that gives up a field, not the page, if a value has another shape than its type.

    kind: a msgspec.Struct. What is given up has its default. Where text is expected anything else becomes its JSON
    text. An item of a list that has no place for what it is is left out, and so is one without a struct that it
    requires.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def decode(self, content: bytes | msgspec.Raw, note: Note = lambda id, field: None) -> T:
        """Decode a page. Raises msgspec.DecodeError if it is no JSON, or no object at all."""
        try:
            return self._decoder.decode(content)
        except FAILURES:
            pass
        content = repaired(bytes(content))
        try:
            return self._decoder.decode(content)
        except msgspec.ValidationError as error:
            try:
                fitted: T = _fitted(self._kind, msgspec.Raw(content), None, "", note)
            except _Misfit:
                raise error from None
            return fitted


class _Misfit(Exception):
    pass


class _Incomplete(_Misfit):
    """A struct lacks one that it requires; what it lacks is noted."""


@lru_cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


@lru_cache
def _fields(kind: Any) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return [(field, hints[field.name]) for field in msgspec.structs.fields(kind)]


def _fitted(kind: Any, raw: msgspec.Raw, id: str | None, path: str, note: Note) -> Any:
    """Return what of a value fits its type; raises _Misfit if nothing does."""
    try:
        return _decoder(kind).decode(raw)
    except msgspec.ValidationError:
        pass
    main = _main(kind)
    origin = get_origin(main)
    try:
        if _is_struct(main):
            return _fitted_struct(main, _members.decode(raw), id, path, note)
        if origin is dict:
            return _fitted_dict(get_args(main)[1], _members.decode(raw), id, path, note)
        if origin is list:
            return _fitted_list(get_args(main)[0], _items.decode(raw), id, path, note)
    except msgspec.ValidationError:
        raise _Misfit from None
    if main is str and bytes(raw) != b"null":
        return bytes(raw).decode()
    raise _Misfit


def _fitted_struct(kind: Any, members: dict[str, msgspec.Raw], id: str | None, path: str, note: Note) -> Any:
    values: dict[str, Any] = {}
    for field, hint in _fields(kind):
        place = f"{path}.{field.encode_name}" if path else field.encode_name
        raw = members.get(field.encode_name)
        if raw is not None:
            try:
                values[field.name] = _fitted(hint, raw, id, place, note)
                continue
            except _Misfit:
                if bytes(raw) != b"null":
                    note(id, place)
        if field.required:
            main = _main(hint)
            if _is_struct(main):
                note(id, place)
                raise _Incomplete
            if get_origin(main) is not list:
                raise _Misfit
            values[field.name] = []
    return kind(**values)


def _fitted_dict(kind: Any, members: dict[str, msgspec.Raw], id: str | None, path: str, note: Note) -> dict[str, Any]:
    found = {}
    for name, raw in members.items():
        try:
            found[name] = _fitted(kind, raw, id, f"{path}.{name}", note)
        except _Misfit:
            note(id, f"{path}.{name}")
    return found


def _fitted_list(kind: Any, items: list[msgspec.Raw], id: str | None, path: str, note: Note) -> list[Any]:
    """The items of a list; those of a list of the page itself are resources, whose fields are told by their ids."""
    found = []
    of_page = "." not in path and id is None
    for raw in items:
        own = _id(raw) if of_page else id
        try:
            found.append(_fitted(kind, raw, own, "" if of_page else path, note))
        except _Incomplete:
            continue
        except _Misfit:
            note(own, path)
    return found


def _id(resource: msgspec.Raw) -> str | None:
    try:
        raw = _members.decode(resource).get("id", msgspec.Raw(b"null"))
    except msgspec.ValidationError:
        return None
    return text_of(msgspec.json.decode(raw)) or None


def text_of(value: Any) -> str | None:
    """Return text as it is, None for None, and the JSON text of anything else."""
    return value if value is None or isinstance(value, str) else json_text(value)


def _main(kind: Any) -> Any:
    """The type of a field without None and UNSET."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    rest = [option for option in get_args(kind) if option not in (type(None), msgspec.UnsetType)]
    return rest[0] if len(rest) == 1 else Any


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
