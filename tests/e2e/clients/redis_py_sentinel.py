# SPDX-License-Identifier: Apache-2.0
"""redis-py configured for Sentinel, with and without asyncio: finds its master, queues through it."""
import asyncio
import os
import threading

import redis
from redis.asyncio.sentinel import Sentinel as AioSentinel
from redis.sentinel import MasterNotFoundError, Sentinel

HOST = os.environ["REDIS_HOST"]
PORT = int(os.environ["REDIS_PORT"])
SENTINELS = [(HOST, int(os.environ["REDIS_SENTINEL_PORT"]))]
PATIENCE = 30
RAW = bytes(range(256)) + b"\r\n$5\r\n"


def lists(sentinel):
    assert sentinel.discover_master("mymaster") == (HOST, PORT)
    master = sentinel.master_for("mymaster", socket_timeout=PATIENCE)
    jobs = [b"job %d" % n for n in range(500)]
    with master.pipeline(transaction=False) as pipe:
        for job in jobs:
            pipe.rpush("jobs", job)
        assert pipe.execute() == list(range(1, 501))
    assert [master.lpop("jobs") for _ in jobs] == jobs
    assert master.set("raw", RAW) is True and master.get("raw") == RAW
    with master.pipeline() as pipe:
        assert pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, b"2"]

    # Who waits has a connection of its own, found the same way.
    got = []
    waiter = threading.Thread(target=lambda: got.append(master.blpop("later", PATIENCE)))
    waiter.start()
    while not any(client["cmd"] == "blpop" for client in master.client_list()):
        pass
    master.rpush("later", "now")
    waiter.join()
    assert got == [(b"later", b"now")]

    # There is no replica: who would read from one reads from the master.
    reader = sentinel.slave_for("mymaster", socket_timeout=PATIENCE)
    assert sentinel.discover_slaves("mymaster") == [] and reader.get("raw") == RAW


def streams(sentinel):
    master = sentinel.master_for("mymaster", socket_timeout=PATIENCE, decode_responses=True)
    master.xgroup_create("s", "g", id="0", mkstream=True)
    ids = [master.xadd("s", {"n": n}) for n in range(50)]
    (_, entries), = master.xreadgroup("g", "c", {"s": ">"}, count=100)
    assert [(eid, {"n": str(n)}) for n, eid in enumerate(ids)] == entries
    assert master.xack("s", "g", *ids) == 50 and master.xpending("s", "g")["pending"] == 0


def questions(sentinel):
    asked = sentinel.sentinels[0]
    state = asked.sentinel_master("mymaster")
    assert (state["ip"], state["port"]) == (HOST, PORT), state
    assert state["is_master"] and not state["is_sdown"] and not state["is_odown"], state
    assert state["num-other-sentinels"] == 0, state
    assert list(asked.sentinel_masters()) == ["mymaster"]
    host, port = asked.sentinel_get_master_addr_by_name("mymaster")
    assert (host if isinstance(host, str) else host.decode(), int(port)) == (HOST, PORT)
    assert asked.sentinel_slaves("mymaster") == asked.sentinel_sentinels("mymaster") == []
    assert asked.sentinel_get_master_addr_by_name("another") is None
    for wrong in (lambda: sentinel.discover_master("another"),
                  lambda: asked.sentinel_master("another")):
        try:
            wrong()
        except (MasterNotFoundError, redis.ResponseError):
            continue
        raise AssertionError("a master that is not there was found")


async def with_asyncio():
    sentinel = AioSentinel(SENTINELS, socket_timeout=PATIENCE)
    address = await sentinel.discover_master("mymaster")
    assert tuple(address) == (HOST, PORT)
    master = sentinel.master_for("mymaster", socket_timeout=PATIENCE)
    assert await master.rpush("aio", *range(10)) == 10
    assert await master.lrange("aio", 0, -1) == [b"%d" % n for n in range(10)]
    popped = await asyncio.gather(*(master.lpop("aio") for _ in range(10)))
    assert sorted(popped) == [b"%d" % n for n in range(10)]
    await master.connection_pool.disconnect()


def main():
    sentinel = Sentinel(SENTINELS, socket_timeout=PATIENCE)
    lists(sentinel)
    streams(sentinel)
    questions(sentinel)
    asyncio.run(with_asyncio())


main()
