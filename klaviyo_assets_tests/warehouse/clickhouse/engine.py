"""ClickHouse's own engine behind as much of its HTTP interface as clickhouse-connect uses.

chdb has the engine, but no server. It runs in an environment of its own, for it is large. It prints its port, and ends
with its standard input. Requests come one after another: the engine of chdb is one for a process.
"""

from __future__ import annotations

import base64
import gzip
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

TRANSPORT = {
    "query", "database", "session_id", "session_timeout", "session_check", "query_id", "client_protocol_version",
    "wait_end_of_query", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "enable_http_compression", "compress", "decompress", "role", "user", "password",
}  # fmt: skip
_DATA = re.compile(rb"\A(\s*INSERT\s+INTO\s+.*?\bFORMAT\s+(?!Values)(\w+))[ \t]*(?:\n|\Z)", re.DOTALL | re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
USER, PASSWORD = "tester", "secret"


class Engine:
    """The engine, and what is set in its one session."""

    def __init__(self, folder: str) -> None:
        self.lock = threading.Lock()
        self._connection = chdb.connect(folder)
        self._set: dict[str, str] = {}

    def run(self, statement: str, settings: dict[str, str], parameters: dict[str, str], data: bytes | None) -> bytes:
        with self.lock, tempfile.NamedTemporaryFile() as file:
            self._apply(settings)
            if data is not None:
                file.write(data)
                file.flush()
                before, _, kind = statement.rpartition(" FORMAT ")
                statement = f"{before} FROM INFILE '{file.name}' FORMAT {kind}"
            found = _FORMAT.search(statement)
            kind = found[1] if found and data is None else "TabSeparated"
            given: dict[str, Any] = {"params": parameters} if parameters else {}
            return bytes(self._connection.query(statement, kind, **given).bytes() or b"")

    def _apply(self, settings: dict[str, str]) -> None:
        for name in self._set.keys() - settings.keys():
            self._connection.query(f"SET {name} = DEFAULT")
        for name, value in settings.items():
            if self._set.get(name) != value:
                self._connection.query(f"SET {name} = '{value}'")
        self._set = settings


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    engine: Engine
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if urlsplit(self.path).path == "/ping":
            return self._send(200, b"Ok.\n")
        if not self._is_known():
            return self._send(
                403, b"Code: 516. DB::Exception: tester: Authentication failed. (AUTHENTICATION_FAILED)", "516"
            )
        data = None
        statement = asked.get("query", "")
        if statement and body:
            data = body
        elif found := _DATA.match(body):
            statement, data = found[1].decode(), body[found.end() :]
        elif body:
            statement = body.decode()
        parameters = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
        settings = {
            name: value for name, value in asked.items() if name not in TRANSPORT and not name.startswith("param_")
        }
        try:
            found = self.engine.run(statement.strip().rstrip(";"), settings, parameters, data)
        except Exception as error:  # noqa: BLE001
            text = str(error)
            code = _CODE.search(text)
            return self._send(500, text.encode(), code[1] if code else "1002")
        kind = _FORMAT.search(statement)
        has_rows = bool(re.match(r"\s*(SELECT|WITH|SHOW|DESC|EXISTS)", statement, re.IGNORECASE))
        self._send(200, found, kind=(kind[1] if kind else "TabSeparated") if has_rows else None)

    def _is_known(self) -> bool:
        return self.headers.get("Authorization") == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def _send(self, status: int, body: bytes, code: str | None = None, kind: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", "{}")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        if kind:
            self.send_header("X-ClickHouse-Format", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def main() -> None:
    """Serve until standard input ends."""
    with tempfile.TemporaryDirectory(prefix="klaviyo_assets_chdb_") as folder:
        Handler.engine = Engine(str(Path(folder) / "data"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
