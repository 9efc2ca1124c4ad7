"""What a sandbox was asked, and what it answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One answered request; `at` is the virtual time of its arrival, `seconds` the real time it took."""

    method: str
    path: str
    operation: str | None
    query: dict[str, str]
    status: int | None
    at: datetime
    seconds: float


class RequestLog:
    """Every request answered so far, oldest first; `status` is None where the connection was reset."""

    def __init__(self) -> None:
        self._requests: list[LoggedRequest] = []

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._requests))

    def __getitem__(self, index: int) -> LoggedRequest:
        return self._requests[index]

    def append(self, request: LoggedRequest) -> None:
        """Add a request."""
        self._requests.append(request)

    def clear(self) -> None:
        """Forget all requests."""
        self._requests.clear()

    def of(self, operation: str) -> list[LoggedRequest]:
        """The requests of one operation."""
        return [request for request in self if request.operation == operation]

    def counts(self) -> Counter[str]:
        """How many requests each operation has answered."""
        return Counter(request.operation for request in self if request.operation is not None)
