"""Stories told to a sandbox over HTTP: `POST /sandbox/<command>` with the arguments as a JSON object."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import requests

from klaviyo_assets.sandbox.account import Account, Event, Resource
from klaviyo_assets.sandbox.api.limits import RateLimiter
from klaviyo_assets.sandbox.fault_plans import FaultPlan
from klaviyo_assets.sandbox.faults import FaultHook
from klaviyo_assets.sandbox.request_log import RequestLog

STORIES = (
    "delete",
    "update",
    "rename",
    "archive",
    "unarchive",
    "join",
    "leave",
    "merge_profiles",
    "suppress",
    "unsuppress",
    "add_tag",
    "remove_tag",
    "relate",
    "load",
    "add_event",
    "remove_event",
)
"""Methods of `Account` that are commands, with the same arguments."""


class Served(Protocol):
    """What the commands may change of the application that serves an account."""

    account: Account
    limiter: RateLimiter
    latency: float
    faults: list[FaultHook]
    requests: RequestLog


class ControlError(Exception):
    """A command that is unknown (404) or that failed (400)."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)

    def body(self) -> bytes:
        """The JSON document that says what was wrong."""
        return msgspec.json.encode({"error": self.message})


def control(app: Served, method: str, path: str, body: bytes) -> bytes:
    """Carry out a command and return its result as JSON: `{"result": ...}`. Raises `ControlError`."""
    command = path.removeprefix("/sandbox").strip("/")
    action = _commands(app).get(command)
    if action is None or method != "POST":
        raise ControlError(404, f"POST one of {', '.join(sorted(_commands(app)))}")
    try:
        arguments = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        for name in ("occurred_at", "visible_at", "attributed_at", "joined_at", "now"):
            if isinstance(arguments.get(name), str):
                arguments[name] = datetime.fromisoformat(arguments[name])
        return msgspec.json.encode({"result": _shown(action(**arguments))})
    except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
        raise ControlError(400, f"{type(error).__name__}: {error}") from error


def _commands(app: Served) -> dict[str, Callable[..., Any]]:
    account, clock = app.account, app.account.clock

    def set_rate_limits(limits: Any) -> None:
        app.limiter.limits = limits

    def set_latency(seconds: float) -> None:
        app.latency = seconds

    def set_faults(seed: int, kinds: list[str] | None = None, share: float | None = None) -> str:
        app.faults[:] = [FaultPlan(seed, account, kinds=kinds, share=share)]
        return str(app.faults[0])

    return {
        **{name: getattr(account, name) for name in STORIES},
        "add": lambda **resource: account.add(Resource(**resource)),
        "get": account.get,
        "now": clock.now,
        "set_clock": clock.set,
        "advance": lambda seconds: clock.advance(timedelta(seconds=seconds)),
        "freeze": clock.freeze,
        "run": clock.run,
        "set_rate_limits": set_rate_limits,
        "set_latency": set_latency,
        "set_faults": set_faults,
        "clear_faults": app.faults.clear,
        "requests": lambda: list(app.requests),
        "counts": app.requests.counts,
        "clear_requests": app.requests.clear,
    }


def _shown(result: Any) -> Any:
    return {"type": "event", "id": result.id} if isinstance(result, Event) else result


class SandboxControl:
    """Tells stories to a sandbox in another process.

    `url` is the sandbox's, with or without `/api`: `SandboxControl(url).tell("delete", type="list", id="Y6nRLr")`.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self.url = url.rstrip("/").removesuffix("/api")
        self.timeout = timeout

    def tell(self, command: str, **arguments: Any) -> Any:
        """Carry out a command: a story method of `Account`, or another of `control`; returns its result.

        Datetimes may be given as such. Raises `ControlError` when the sandbox refuses.
        """
        with requests.Session() as session:
            session.trust_env = False  # a proxy would look for the sandbox on its own machine
            response = session.post(
                f"{self.url}/sandbox/{command}", data=msgspec.json.encode(arguments), timeout=self.timeout
            )
        document = msgspec.json.decode(response.content, type=dict[str, Any])
        if response.status_code != 200:
            raise ControlError(response.status_code, document["error"])
        return document["result"]


__all__ = ["Account", "ControlError", "SandboxControl", "control"]
