"""What can go wrong between Klaviyo and us. Every message says what to do about it.

The constructor's arguments are the exception's `args`, so that all of them can be pickled.
"""

from __future__ import annotations


class KlaviyoError(Exception):
    """Base class of every error that the client raises on purpose."""


class InvalidApiKey(KlaviyoError):
    """The key is malformed, unknown or revoked (401)."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"Klaviyo does not accept the API key: {self.detail} "
            "It has to be a private key of the account (in Klaviyo: Settings > API keys)."
        )


class NotPermitted(KlaviyoError):
    """The key or the account's plan does not allow the operation (403)."""

    def __init__(self, operation: str, detail: str) -> None:
        super().__init__(operation, detail)
        self.operation = operation
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"Klaviyo does not permit {self.operation}: {self.detail} "
            "Turn off the tables that need it, or change the account's plan."
        )


class MissingScope(NotPermitted):
    """The key lacks a scope that the operation needs (403). `scopes` are the missing ones, e.g. `("events:read",)`."""

    def __init__(self, operation: str, detail: str, scopes: tuple[str, ...]) -> None:
        super().__init__(operation, detail)
        self.args = (operation, detail, scopes)
        self.scopes = scopes

    def __str__(self) -> str:
        return (
            f"The API key may not call {self.operation}: it lacks the scope {', '.join(self.scopes)}. "
            "The scopes of a key cannot be changed: create a new key, or turn off the tables that need this one."
        )


class RateLimited(KlaviyoError):
    """The operation is throttled for longer than the client waits. `wait` is in seconds."""

    def __init__(self, operation: str, wait: float) -> None:
        super().__init__(operation, wait)
        self.operation = operation
        self.wait = wait

    def __str__(self) -> str:
        return (
            f"Klaviyo throttles {self.operation} for another {self.wait:.0f} s. Run it again after that; if it happens "
            "often, another application uses up the account's quota of this operation."
        )


class InvalidRequest(KlaviyoError):
    """Klaviyo refused the request itself (a 4xx without an error class of its own, or a redirect)."""

    def __init__(
        self, operation: str, status: int, detail: str, code: str | None = None, source: str | None = None
    ) -> None:
        super().__init__(operation, status, detail, code, source)
        self.operation = operation
        self.status = status
        self.detail = detail
        self.code = code
        self.source = source

    def __str__(self) -> str:
        where = f" (at {self.source})" if self.source else ""
        return (
            f"Klaviyo refused {self.operation} with status {self.status}{where}: {self.detail} "
            "Asking again will not help; if the settings are right, please report this message as a bug."
        )


class ForeignAnswer(KlaviyoError):
    """What answered is not Klaviyo: a gateway or another server at `base_url`. `what` came, in words."""

    def __init__(self, operation: str, what: str, base_url: str) -> None:
        super().__init__(operation, what, base_url)
        self.operation = operation
        self.what = what
        self.base_url = base_url

    def __str__(self) -> str:
        return (
            f"What answered {self.operation} at {self.base_url} is not Klaviyo's API: {self.what}. Klaviyo's is "
            "https://a.klaviyo.com/api; a gateway has to pass its answers on."
        )


class NotFound(InvalidRequest):
    """The object does not exist, or no longer (404). A child of a listed parent was deleted in the meantime."""

    def __str__(self) -> str:
        return f"Klaviyo has no such object ({self.operation}): {self.detail} It was deleted, or its id is wrong."


class ApiUnavailable(KlaviyoError):
    """No usable answer after every try. `reason` is the last cause in words, `status` its HTTP status if it had one."""

    def __init__(self, operation: str, reason: str, tries: int, status: int | None = None) -> None:
        super().__init__(operation, reason, tries, status)
        self.operation = operation
        self.reason = reason
        self.tries = tries
        self.status = status

    def __str__(self) -> str:
        times = "once" if self.tries == 1 else f"{self.tries} times"
        return (
            f"Klaviyo did not answer {self.operation}, tried {times}; last: {self.reason.rstrip('.')}. "
            "Check the network and https://status.klaviyo.com, then run it again."
        )


class PaginationError(KlaviyoError):
    """The pages of a collection do not lead on: a repeated page or cursor, or a link that leaves the API."""

    def __init__(self, operation: str, detail: str) -> None:
        super().__init__(operation, detail)
        self.operation = operation
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"Reading the pages of {self.operation} was stopped: {self.detail}. Run it again; "
            "if it comes back, please report it as a bug."
        )
