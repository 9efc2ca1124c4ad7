"""Klaviyo's error documents (texts as recorded from the live API, where a recording exists)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec

_TITLES = {
    "invalid": "Invalid input.",
    "not_authenticated": "Authentication credentials were not provided.",
    "authentication_failed": "Incorrect authentication credentials.",
    "permission_denied": "You do not have permission to perform this action.",
    "not_found": "Not found.",
    "throttled": "Request was throttled.",
}


class ApiError(Exception):
    """An answer other than 200: `status` and the members of the one error object in its body."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str | None = None,
        *,
        title: str | None = None,
        source: dict[str, str] | None = None,
        links: dict[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.title = title or _TITLES.get(code, detail or code)
        self.detail = detail or self.title
        self.source = source or {"pointer": "/data/"}
        self.links = links
        self.retry_after = retry_after
        super().__init__(self.detail)

    def body(self) -> bytes:
        """The JSON:API error document."""
        error: dict[str, Any] = {
            "id": str(uuid4()),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "source": self.source,
        }
        if self.status not in (401, 403, 404):
            error |= {"links": self.links or {}, "meta": {}}
        return msgspec.json.encode({"errors": [error]})


def invalid(detail: str, *, parameter: str | None = None, pointer: str = "/data/") -> ApiError:
    """400, blaming a query parameter or a part of the document."""
    return ApiError(400, "invalid", detail, source={"parameter": parameter} if parameter else {"pointer": pointer})


def not_found(type: str, id: str) -> ApiError:
    """404 for a resource."""
    if type == "account":
        return ApiError(404, "not_found", f"Account with id {id} not found.")
    article = "An" if type[0] in "aeiou" else "A"
    return ApiError(404, "not_found", f"{article} {type} with id {id} does not exist.")


def throttled(retry_after: int) -> ApiError:
    """429 until a window of the rate limit ends, in seconds."""
    seconds = "1 second" if retry_after == 1 else f"{retry_after} seconds"
    return ApiError(
        429,
        "throttled",
        f"Request was throttled. Expected available in {seconds}.",
        source={"pointer": "/data"},
        links={"type": "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling#rate-limits"},
        retry_after=retry_after,
    )


def missing_scopes(scopes: list[str]) -> ApiError:
    """403 for a key that lacks scopes of the operation."""
    return ApiError(403, "permission_denied", f"Your API key is missing required scopes: {', '.join(scopes)}")
