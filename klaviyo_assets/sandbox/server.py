"""Serve an account over HTTP, from a thread, to this machine only: who reaches the port may change the account."""

from __future__ import annotations

import asyncio
import socket
from threading import Thread
from types import TracebackType
from typing import Self

import uvicorn

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.api.limits import RateLimits
from klaviyo_assets.sandbox.app import App
from klaviyo_assets.sandbox.faults import FaultHook
from klaviyo_assets.sandbox.request_log import RequestLog

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """A server that another thread can stop at once; uvicorn itself looks for a reason to stop every 0.1 s."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self._stopped.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)


class Sandbox:
    """A local Klaviyo: a context manager that serves an account on a loopback port, from a thread.

    Args:
        account: What it serves.
        port: Of 127.0.0.1; 0 takes a free one.
        rate_limits: "off", "real" or `{operation id: (burst per second, steady per minute)}`.
        latency: Seconds of real time by which every answer is delayed.

    Example:
        >>> import requests
        >>> from klaviyo_assets.sandbox.shop.generate import generate_account
        >>> with Sandbox(generate_account(events=100, profiles=10)) as sandbox:
        ...     headers = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
        ...     answer = requests.get(f"{sandbox.url}/events", headers=headers, timeout=10)
        >>> len(answer.json()["data"])
        100
    """

    def __init__(
        self, account: Account, port: int = 0, *, rate_limits: RateLimits = "off", latency: float = 0.0
    ) -> None:
        self._app = App(account, rate_limits=rate_limits, latency=latency)
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: Thread | None = None

    @property
    def account(self) -> Account:
        """The account that is served."""
        return self._app.account

    @property
    def url(self) -> str:
        """The base URL of the API, for example `http://127.0.0.1:8765/api`."""
        return f"http://{HOST}:{self._port}/api"

    @property
    def requests(self) -> RequestLog:
        """Every request answered so far."""
        return self._app.requests

    @property
    def faults(self) -> list[FaultHook]:
        """Hooks that may turn a request into a fault: the first that returns one decides."""
        return self._app.faults

    @property
    def latency(self) -> float:
        """Seconds that every answer is delayed by."""
        return self._app.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._app.latency = seconds

    @property
    def rate_limits(self) -> RateLimits:
        """The limits in force; counting goes on when they change."""
        return self._app.limiter.limits

    @rate_limits.setter
    def rate_limits(self, limits: RateLimits) -> None:
        self._app.limiter.limits = limits

    @property
    def ties(self) -> bool:
        """Whether cursors without an id skip rows with equal values at a page boundary, as Klaviyo's do."""
        return self._app.pages.ties

    @ties.setter
    def ties(self, skip: bool) -> None:
        self._app.pages.ties = skip

    @property
    def unsorted_archive(self) -> bool:
        """Whether archived email campaigns come slightly out of order, as Klaviyo's sometimes do."""
        return self._app.pages.unsorted_archive

    @unsorted_archive.setter
    def unsorted_archive(self, unsorted: bool) -> None:
        self._app.pages.unsorted_archive = unsorted

    @property
    def loose_bounds(self) -> bool:
        """Whether `greater-than` returns campaigns and flows on the bound as well, as Klaviyo's sometimes does."""
        return self._app.pages.loose_bounds

    @loose_bounds.setter
    def loose_bounds(self, loose: bool) -> None:
        self._app.pages.loose_bounds = loose

    @property
    def report_page_size(self) -> int:
        """Results on a page of a report of campaigns or flows."""
        return self._app.report_page_size

    @report_page_size.setter
    def report_page_size(self, size: int) -> None:
        self._app.report_page_size = size

    def start(self) -> Self:
        """Begin to serve; `with` does it, and stops at the end.

        Returns:
            The sandbox itself, once requests are answered.

        Raises:
            OSError: The port is taken.
            RuntimeError: The server did not start.
        """
        listening = self._socket = socket.create_server((HOST, self._port))
        self._port = listening.getsockname()[1]
        server = self._server = _Server(_config(self._app))
        self._thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="sandbox", daemon=True)
        self._thread.start()
        while not server.started and self._thread.is_alive():
            self._thread.join(0.005)
        if not server.started:
            raise RuntimeError(f"the sandbox did not start on {self.url}")
        return self

    def stop(self) -> None:
        """Stop serving; connections that are still open are closed."""
        if self._server is not None and self._thread is not None and self._socket is not None:
            self._server.stop()
            self._thread.join()
            self._socket.close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Sandbox({self.url})"


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
