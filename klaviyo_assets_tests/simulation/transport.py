"""The sandbox's application, asked without a socket: what takes the place of the client's HTTP session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from klaviyo_assets.sandbox.app import App

REQUEST_TAKES = dt.timedelta(milliseconds=200)


class Body:
    """A body that has come as a whole."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read1(self, size: int, decode_content: bool = True) -> bytes:
        content, self._content = self._content, b""
        return content


class InProcess:
    """A session of the client. meets: is told of each request, and may raise what a broken connection raises, before
    the application has answered (`False`) or afterwards (`True`)."""

    def __init__(self, app: App, key: str, meets: Callable[[str, bool], None]) -> None:
        self._app = app
        self._key = key
        self._meets = meets

    def request(
        self, method: str, url: str, *, data: bytes | None, headers: Mapping[str, str], **_: Any
    ) -> requests.Response:
        self._meets(url, False)
        self._app.account.clock.advance(REQUEST_TAKES)
        parts = urlsplit(url)
        given = {"host": parts.netloc, "authorization": f"Klaviyo-API-Key {self._key}", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "scheme": "http",
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"body": data or b""}

        async def send(message: Any) -> None:
            sent.append(message)

        answered = self._app(scope, receive, send)
        try:
            answered.send(None)
            raise AssertionError("the application waits for something")
        except StopIteration:
            pass
        self._meets(url, True)
        response = requests.Response()
        response.status_code = sent[0]["status"]
        response.headers.update({name.decode(): value.decode() for name, value in sent[0]["headers"]})
        response.raw = Body(b"".join(each["body"] for each in sent[1:]))
        response.close = lambda: None  # type: ignore[method-assign]
        response.url = url
        return response

    def close(self) -> None:
        """There is no connection."""
