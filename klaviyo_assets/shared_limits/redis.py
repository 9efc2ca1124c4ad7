"""Requests counted by a Redis server."""

from __future__ import annotations

import math
from collections.abc import Sequence

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from klaviyo_assets.api import Window
from klaviyo_assets.shared_limits.counting import NobodyCounts

_TRIES = 6  # up to eight seconds apart: a server that takes over from another is there by then

_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local wait = 0
for i, key in ipairs(KEYS) do
    local quota, seconds = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local first = redis.call('LINDEX', key, quota - 1)
    if first and tonumber(first) < now + seconds then wait = math.max(wait, tonumber(first) + seconds - now) end
end
if wait > 0 then return tostring(wait) end
for i, key in ipairs(KEYS) do
    redis.call('LPUSH', key, string.format('%.6f', now))
    redis.call('LTRIM', key, 0, tonumber(ARGV[2 * i - 1]) - 1)
    redis.call('EXPIRE', key, math.ceil(tonumber(ARGV[2 * i])))
end
return '0'
"""
"""Each window is a list of the times of its latest requests, by the server's clock. It runs as a whole, or not at all.
A time further in the future than the window is long is void: the server's clock was wrong then.

(The library `limits` goes by each process's own clock where it counts as exactly.)"""


class RedisLimits:
    """Counts the requests of an account, those of all processes that ask the same server. Thread-safe.

    address: with what it takes to log in. shown: without. account: see `account_of`.
    """

    def __init__(self, address: str, shown: str, *, account: str) -> None:
        self._shown = shown
        self._account = account
        self._server = redis.Redis.from_url(
            address,
            retry=Retry(ExponentialBackoff(cap=8, base=0.25), _TRIES),
            retry_on_error=[redis.ReadOnlyError],  # the answer of one that others do not take for the first any more
            socket_connect_timeout=10,
            socket_timeout=10,
        )
        self._take = self._server.register_script(_TAKE)

    def take(self, name: str, windows: Sequence[Window]) -> float:
        """Take a place in all windows of a limit and return 0, or take none and return the seconds until one is free.

        Raises NobodyCounts if the server does not answer.
        """
        keys = [f"klaviyo_assets:{{{self._account}}}:{name}:{number}" for number, _ in enumerate(windows)]
        try:
            wait = float(self._take(keys, [value for window in windows for value in window]))
        except redis.RedisError as error:
            raise NobodyCounts(self._shown, f"{type(error).__name__}.") from None  # whose text may have the address
        return math.ceil(wait * 1000) / 1000

    def close(self) -> None:
        """Close the connections."""
        self._server.close()
