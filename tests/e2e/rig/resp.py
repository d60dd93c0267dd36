# SPDX-License-Identifier: Apache-2.0
"""A small blocking RESP2 client: for the rig's own look at the server, and for the naive client."""
import socket
from typing import Any


class Refused(Exception):
    """An error reply, e.g. `OOM command not allowed ...`."""


def command(*args: bytes | str | int) -> bytes:
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        raw = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


class Client:
    """Commands on one socket. An error reply is raised by `do`, and returned by `read`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb", 1 << 16)

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def read(self) -> Any:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refused(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line[:40]!r}")

    def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        raw = self.file.read(length + 2)
        if len(raw) != length + 2:
            raise ConnectionError("the server closed the connection")
        return raw[:-2]

    def do(self, *args: bytes | str | int) -> Any:
        self.send(command(*args))
        reply = self.read()
        if isinstance(reply, Refused):
            raise reply
        return reply


def unix(path: str, timeout_s: float = 10.0) -> Client:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return Client(sock)
