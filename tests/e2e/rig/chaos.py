# SPDX-License-Identifier: Apache-2.0
"""
A hostile network: a TCP proxy between clients and the server that misbehaves by a seed.

Each connection has a fate: a kind of fault and the moment when it strikes. What it can be:
  reset     both ends get a TCP reset
  hole      nothing passes any more and nobody is told, until the client gives up
  truncate  half of what came last is passed on, then the connection ends
  chop      the next bytes pass one by one, then a new fate is drawn
  rob       requests pass, the replies do not; then the connection is reset
It sees bytes, not commands. With TLS inside, a batch is taken for what a client sends that has
sent more than a handshake's worth already, unless it is too short to hold an entry.
"""
import asyncio
import random
import socket
import struct
from collections import Counter

SETTLED_BYTES = 4096  # a client that has sent so much is past its handshake and greeting
BATCH_BYTES = 200  # sent since the server's last word: a batch is on its way
HOLE_S = 20.0
CHOP_BYTES = 1500
KINDS = ("reset", "hole", "truncate", "chop", "rob", "rob")  # dealt like cards: each comes up


class _Link:
    """One connection through the proxy."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.kind = ""
        self.strike_at = 0.0
        self.sent = 0  # bytes of the client
        self.unanswered = 0  # of them since the server's last
        self.chop_left = 0
        self.hole = False
        self.streams: list[asyncio.StreamWriter] = []
        self.ended = asyncio.Event()

    def in_batch(self) -> bool:
        return self.sent >= SETTLED_BYTES and self.unanswered >= BATCH_BYTES


class Chaos:
    """`on` turns the faults on and off; the counters say what has been done, by tag."""

    def __init__(self, port: int, seed: int, pace_s: tuple[float, float]) -> None:
        self.target = port
        self.rng = random.Random(seed)
        self.on = True
        self.hands: dict[str, list[str]] = {}
        self.pace_s = pace_s
        self.done: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[str] = Counter()  # bytes that the clients sent
        self.received: Counter[str] = Counter()
        self.links: set[_Link] = set()
        self.moments: list[tuple[str, asyncio.Future[None]]] = []
        self.servers: list[asyncio.Server] = []

    async def listen(self, tag: str) -> int:
        """A port whose connections are counted under `tag`."""
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(tag, reader, writer)
            except asyncio.CancelledError:
                pass  # the rig is being stopped
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for server in self.servers:
            server.close()
        for link in list(self.links):
            self._end(link, reset=True)
        await asyncio.sleep(0)

    async def batch_sent(self, tag: str, timeout_s: float) -> bool:
        """Waits for the moment when a client has sent a batch that is not answered yet."""
        if any(link.tag == tag and link.in_batch() for link in self.links):
            return True
        moment: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.moments.append((tag, moment))
        try:
            await asyncio.wait_for(moment, timeout_s)
        except TimeoutError:
            return False
        return True

    def _batch_was_sent(self, tag: str) -> None:
        for waiting, moment in self.moments:
            if waiting == tag and not moment.done():
                moment.set_result(None)
        self.moments = [pair for pair in self.moments if not pair[1].done()]

    def complete(self, tag: str) -> bool:
        """Whether each kind of fault has struck."""
        return all(self.done[(tag, kind)] > 0 for kind in KINDS)

    def _draw(self, link: _Link) -> None:
        hand = self.hands.setdefault(link.tag, [])
        if not hand:
            hand.extend(self.rng.sample(KINDS, len(KINDS)))
        link.kind = hand.pop()
        link.strike_at = asyncio.get_running_loop().time() + self.rng.uniform(*self.pace_s)

    def _end(self, link: _Link, reset: bool) -> None:
        for stream in link.streams:
            sock = stream.get_extra_info("socket")
            if reset and sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
        link.ended.set()

    async def _serve(self, tag: str, reader: asyncio.StreamReader,
                     writer: asyncio.StreamWriter) -> None:
        link = _Link(tag)
        link.streams.append(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self._end(link, reset=True)
            return
        link.streams.append(up_writer)
        self._draw(link)
        self.links.add(link)
        pumps = [asyncio.create_task(self._pump(link, reader, up_writer, True)),
                 asyncio.create_task(self._pump(link, up_reader, writer, False))]
        await link.ended.wait()
        self.links.discard(link)
        if link.kind:
            self.hands[tag].append(link.kind)  # it ended before its fate: another one gets it
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, link: _Link, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter, upward: bool) -> None:
        try:
            while True:
                data = await reader.read(16384)
                if not data:
                    if link.hole and not upward:
                        return  # the server has gone: nobody tells the client
                    break
                (self.sent if upward else self.received)[link.tag] += len(data)
                if upward:
                    link.sent += len(data)
                    link.unanswered += len(data)
                    if self.moments and link.in_batch():
                        self._batch_was_sent(link.tag)
                if not await self._pass(link, data, writer, upward):
                    return
                if not upward and not link.hole:
                    link.unanswered = 0
        except (OSError, ConnectionError):
            pass
        self._end(link, reset=False)

    async def _pass(self, link: _Link, data: bytes, writer: asyncio.StreamWriter,
                    upward: bool) -> bool:
        """Passes the data on, or does what fate has in store; False when the link has ended."""
        now = asyncio.get_running_loop().time()
        if link.hole:
            return True
        if link.chop_left > 0:
            await self._chop(link, data, writer)
        elif self.on and now >= link.strike_at and link.kind:
            return await self._strike(link, data, writer, upward)
        else:
            writer.write(data)
            await writer.drain()
        return True

    async def _chop(self, link: _Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        few = data[:link.chop_left]
        link.chop_left -= len(few)
        for k in range(len(few)):
            writer.write(few[k:k + 1])
            await asyncio.sleep(0)
        writer.write(data[len(few):])
        await writer.drain()
        if link.chop_left == 0:
            self._draw(link)

    async def _strike(self, link: _Link, data: bytes, writer: asyncio.StreamWriter,
                      upward: bool) -> bool:
        key = (link.tag, link.kind)
        if link.kind == "rob":
            return await self._rob(link, data, writer, upward)
        self.done[key] += 1
        kind, link.kind = link.kind, ""
        if kind == "chop":
            link.chop_left = CHOP_BYTES
            await self._chop(link, data, writer)
            return True
        if kind == "hole":
            link.hole = True
            asyncio.get_running_loop().call_later(HOLE_S, self._end, link, True)
            return True
        if kind == "truncate":
            writer.write(data[:len(data) // 2])
            await writer.drain()
            self._end(link, reset=False)
            return False
        self._end(link, reset=True)
        return False

    async def _rob(self, link: _Link, data: bytes, writer: asyncio.StreamWriter,
                   upward: bool) -> bool:
        if upward or not link.in_batch():
            writer.write(data)
            await writer.drain()
            return True
        self.done[(link.tag, "rob")] += 1
        link.kind = ""
        self._end(link, reset=True)
        return False

