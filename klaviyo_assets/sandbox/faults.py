"""What can go wrong between a client and the API: hooks look at a request and may choose one of these.

There are two kinds. A fault of the transport takes the place of an answer, or breaks it on its way. A fault of the page
is an answer that arrives whole and is not what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a fault hook sees it; `number` counts the requests of its operation, from 1."""

    method: str
    operation: str | None
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    number: int


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status and an error document, or with `body`; `retry_after` in seconds."""

    status: int
    retry_after: int | None = None
    body: bytes | None = None
    content_type: str = "application/vnd.api+json"


@dataclass(frozen=True, slots=True)
class Html403:
    """The challenge page of the CDN, which a valid key meets now and then."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection before any byte of the answer."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Send this share of the announced body, then close the connection."""

    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Slow:
    """Answer after a while; with `body`, the headers and the first half come at once. In seconds of real time."""

    seconds: float
    body: bool = False


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the body in `pieces`, with a pause of `seconds` of real time before each."""

    seconds: float
    pieces: int = 10


@dataclass(frozen=True, slots=True)
class InvalidJson:
    """Answer 200 with a complete HTTP body that is not complete JSON."""


@dataclass(frozen=True, slots=True)
class InvalidGzip:
    """Announce a compressed body whose second half is noise."""


@dataclass(frozen=True, slots=True)
class OddPage:
    """Answer with rows that were not asked for.

    `more` rows than the page size, which come again on the next page; `shuffled`, in disorder, though the cursor goes
    on after the last row in order; `loose`, with the rows that lie on the bounds of strict filters.
    """

    more: int = 0
    shuffled: bool = False
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """Answer with a document that `change` was applied to, in place."""

    change: Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Answer with what `change` makes of the bytes of the document, which need be no JSON."""

    change: Callable[[bytes], bytes]


Fault = Status | Html403 | Reset | Truncate | Slow | Drip | InvalidJson | InvalidGzip | OddPage | Document | Rewritten
FaultHook = Callable[[Call], Fault | None]

CHALLENGE = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title></head>
<body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>
"""


def choose(hooks: list[FaultHook], call: Call) -> Fault | None:
    """The fault of the first hook that has one for this request."""
    for hook in hooks:
        fault = hook(call)
        if fault is not None:
            return fault
    return None
