"""Lets programs that only know https://a.klaviyo.com reach a sandbox: an HTTPS proxy that ends TLS itself.

`python -m benchmarks.proxy FOLDER SANDBOX_PORT` makes a certificate authority in FOLDER (ca.pem), prints its port and
serves until standard input ends. It answers CONNECT to a.klaviyo.com and to nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

HOST = "a.klaviyo.com"


def make_certificates(folder: Path) -> None:
    """Write ca.pem, and server.pem and server.key that it vouches for. Needs the openssl command."""
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=benchmark -keyout ca.key -out ca.pem",
        f"req -newkey rsa:2048 -nodes -subj /CN={HOST} -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


async def serve(folder: Path, sandbox_port: int) -> None:
    """Serve until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            wanted = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)
            if wanted[:2] != [b"CONNECT", f"{HOST}:443".encode()]:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await writer.start_tls(context)
            inner, outer = await asyncio.open_connection("127.0.0.1", sandbox_port)
            answers = asyncio.create_task(_copy(inner, writer))
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    # The sandbox's links have to say https as well.
                    outer.write(head[:-2] + b"X-Forwarded-Proto: https\r\n\r\n")
                    await outer.drain()
            finally:
                answers.cancel()
                outer.close()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each connection that ends
    where = Path(sys.argv[1])
    make_certificates(where)
    asyncio.run(serve(where, int(sys.argv[2])))
