# SPDX-License-Identifier: Apache-2.0
"""Taskiq with redis lists and with redis streams: tasks, results, failures, one that is not acked."""
import asyncio
import logging
import os

import redis.asyncio as aio
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, PubSubBroker, RedisAsyncResultBackend, RedisStreamBroker

logging.disable(logging.CRITICAL)  # some tasks fail on purpose
URL = os.environ["REDIS_URL"]


async def until(what):
    end = asyncio.get_running_loop().time() + 60
    while not await what():
        assert asyncio.get_running_loop().time() < end, "it did not come"
        await asyncio.sleep(0.02)


async def at_once():
    return True


async def served(broker, listens=at_once, settled=at_once):
    """The same tasks, by any broker."""
    @broker.task(task_name="double")
    async def double(n: int) -> dict:
        return {"n": 2 * n}

    @broker.task(task_name="fail")
    async def fail() -> None:
        raise ValueError("as it should")

    broker.is_worker_process = True
    await broker.startup()
    worker = asyncio.create_task(run_receiver_task(broker))
    await until(listens)
    tasks = [await double.kiq(n) for n in range(30)]
    bad = await fail.kiq()
    for n, task in enumerate(tasks):
        done = await task.wait_result(timeout=30, check_interval=0.02)
        assert not done.is_err and done.return_value == {"n": 2 * n}, done
    done = await bad.wait_result(timeout=30, check_interval=0.02)
    assert done.is_err and "as it should" in str(done.error), done
    await until(settled)  # a result is there before its task is acked
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await broker.shutdown()


def results():
    return RedisAsyncResultBackend(URL + "/3", result_ex_time=100)


async def main():
    r = aio.Redis.from_url(URL)
    await served(ListQueueBroker(URL, queue_name="list").with_result_backend(results()))
    assert await r.llen("list") == 0

    async def heard():
        return (await r.pubsub_numsub("channel"))[0][1] == 1

    async def acked():
        return (await r.xpending("stream", "g"))["pending"] == 0

    await served(PubSubBroker(URL, queue_name="channel").with_result_backend(results()), heard)
    await served(RedisStreamBroker(URL, queue_name="stream", consumer_group_name="g")
                 .with_result_backend(results()), settled=acked)
    assert await r.xlen("stream") == 31
    assert await acked()
    three = aio.Redis.from_url(URL + "/3")
    keys = await three.keys()
    assert len(keys) == 93 and 0 < await three.ttl(keys[0]) <= 100
    await r.aclose()
    await three.aclose()


asyncio.run(main())
