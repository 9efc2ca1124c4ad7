"""The HTTP session: connections, headers and the API key, which nothing that is printed shows."""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from klaviyo_assets.hosts import is_of_this_machine

JSON_API = "application/vnd.api+json"
_PIECE = 1 << 20


class Secret(str):
    """Text whose repr is masked, so that whoever prints headers or attributes prints no key."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class _KeyAuth(AuthBase):
    """As `auth` rather than as a header of the session, so that a .netrc cannot replace it."""

    def __init__(self, key: str) -> None:
        self._header = Secret(f"Klaviyo-API-Key {key}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class _Adapter(HTTPAdapter):
    """Asks no proxy for this machine, where simulated accounts are: what a proxy calls so is another one."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if is_of_this_machine(request.url or ""):
            kwargs["proxies"] = None
        return super().send(request, *args, **kwargs)


def new_session(api_key: str, max_concurrency: int) -> requests.Session:
    """A session that keeps `max_concurrency` connections open, takes gzip, and stores no cookies."""
    session = requests.Session()
    session.auth = _KeyAuth(api_key)
    agent = f"klaviyo_assets python-requests/{requests.__version__}"
    session.headers.update({"Accept": JSON_API, "Accept-Encoding": "gzip", "User-Agent": agent})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=max_concurrency)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def load_body(response: requests.Response, in_time: Callable[[], bool]) -> None:
    """Read the body of a streamed answer as it arrives, decompressed; `response.content` has it then.

    The session's time-out is for every piece of it: a server that sends a byte a minute never exceeds it. So `in_time`
    is asked after each. Raises requests.RequestException.
    """
    pieces = []
    try:
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            if not in_time():
                raise requests.ReadTimeout
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from None
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from None
    except urllib3.exceptions.ProtocolError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from None
    finally:
        response.close()
    response._content = b"".join(pieces)
