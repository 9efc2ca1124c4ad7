"""A connection that can be cut: what a machine reaches a server through."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Passes bytes between a port of this machine and a server, from a thread, except while it is cut. Use as a
    context manager.
    """

    def __init__(self, server: str) -> None:
        """server: a URL with host and port."""
        self._server = urlsplit(server)
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """The server's URL, by way of here."""
        return self._server._replace(netloc=f"127.0.0.1:{self._port}").geturl()

    def cut(self, seconds: float, *, refuse: bool) -> None:
        """Pass nothing on for a while. refuse: connections end, and no others are taken; else all is silent."""
        self._loop.call_soon_threadsafe(self._cut, seconds, refuse)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self) -> None:
        self._whole = asyncio.Event()
        self._whole.set()
        self._connections: set[asyncio.StreamWriter] = set()
        await self._listen()

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", self._port, reuse_address=True)
        self._port = self._listening.sockets[0].getsockname()[1]

    def _cut(self, seconds: float, refuse: bool) -> None:
        self._whole.clear()
        if refuse:
            self._refuse()
        self._loop.call_later(seconds, lambda: self._loop.create_task(self._mend()))

    def _refuse(self) -> None:
        self._listening.close()
        for writer in self._connections:
            writer.transport.abort()

    async def _mend(self) -> None:
        self._whole.set()
        if not self._listening.is_serving():
            await self._listen()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        both = {writer, server_writer}
        self._connections |= both
        with suppress(OSError):
            await asyncio.gather(self._pass(reader, server_writer), self._pass(server_reader, writer))
        self._connections -= both
        for each in both:
            each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while read := await reader.read(65536):
            await self._whole.wait()
            writer.write(read)
            await writer.drain()
        writer.close()

    async def _end(self) -> None:
        self._refuse()
        self._whole.set()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
