"""A tiny server of made-up answers, for what a well-behaved one never does, and a clock for waits without waiting."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "pk_0123456789abcdef0123456789abcdef01"


@dataclass
class Reply:
    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None  # "reset": no answer at all; "cut": half of the body; "unframed cut": half, no length


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    number: int  # of the requests to this path, from 0
    target: str  # path and query as they were sent


def error(status: int, detail: str, code: str = "invalid", source: dict[str, str] | None = None) -> Reply:
    entry = {"id": "x", "status": status, "code": code, "title": "T", "detail": detail, "source": source or {}}
    return Reply({"errors": [entry], "links": {}}, status)


def document(rows: list[Any], next: str | None = None) -> dict[str, Any]:
    return {"data": rows, "links": {"self": "x", "next": next, "prev": None}}


class FakeApi:
    """Serves `routes`: path (after /api/) -> a reply, a list of replies (the last one repeats) or a function."""

    def __init__(self, port: int = 0) -> None:
        self.routes: dict[str, Reply | list[Reply] | Callable[[Request], Reply]] = {}
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def date_time_string(self, timestamp: float | None = None) -> str:
                return api.date

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def do_GET(self) -> None:
                api._answer(self)

            do_POST = do_GET  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.date = "Fri, 04 Sep 2026 13:38:54 GMT"
        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/api"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, path: str) -> int:
        return sum(r.path == path for r in self.requests)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        path = parts.path.removeprefix("/api/")
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        with self._lock:
            query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
            target = handler.path
            request = Request(handler.command, path, query, handler.headers, body, self.count(path), target)
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        route = self.routes.get(path, error(404, "Not found.", "not_found"))
        if isinstance(route, list):
            route = route[min(request.number, len(route) - 1)]
        try:
            reply = route(request) if callable(route) else route
        finally:
            with self._lock:
                self._at_once -= 1
        if reply.fault == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        headers = {"Content-Type": "application/vnd.api+json", **reply.headers}
        if reply.fault != "unframed cut":
            headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            handler.send_header(name, value)
        if reply.fault:
            content = content[: len(content) // 2]
            handler.close_connection = True
        handler.end_headers()
        handler.wfile.write(content)
        handler.wfile.flush()


class FakeClock:
    """Monotonic seconds that pass only in `sleep`, which moves the clock to the sleeper's own end."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            end = self.now + seconds
            self.sleeps.append(seconds)
            self.now = max(self.now, end)
