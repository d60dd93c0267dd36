# SPDX-License-Identifier: Apache-2.0
"""arq: jobs with results, retries, delays and names of their own."""
import asyncio
import logging
import os
import time

from arq import Retry, create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

logging.disable(logging.CRITICAL)  # some jobs fail on purpose
tried = []


async def double(ctx, n):
    return {"n": 2 * n}


async def hard(ctx):
    tried.append(ctx["job_try"])
    if ctx["job_try"] < 3:
        raise Retry(defer=0.05)
    return "done"


async def fail(ctx):
    raise ValueError("as it should")


async def main():
    settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    pool = await create_pool(settings)
    jobs = [await pool.enqueue_job("double", n) for n in range(20)]
    retried = await pool.enqueue_job("hard")
    bad = await pool.enqueue_job("fail")
    named = await pool.enqueue_job("double", 7, _job_id="mine")
    assert await pool.enqueue_job("double", 8, _job_id="mine") is None, "one name, one job"
    began = time.monotonic()
    later = await pool.enqueue_job("double", 9, _defer_by=0.6)
    assert len(await pool.queued_jobs()) == 24
    worker = Worker([double, hard, fail], redis_pool=await create_pool(settings), burst=True,
                    poll_delay=0.02, handle_signals=False)
    await worker.async_run()
    assert [await job.result(timeout=60) for job in jobs] == [{"n": 2 * n} for n in range(20)]
    assert await retried.result(timeout=60) == "done" and tried == [1, 2, 3]
    assert await named.result() == {"n": 14} and await later.result(timeout=60) == {"n": 18}
    assert time.monotonic() - began >= 0.59  # milliseconds are rounded
    try:
        await bad.result()
        raise AssertionError("it did not fail")
    except ValueError as why:
        assert str(why) == "as it should"
    assert len(await pool.all_job_results()) == 24 and not await pool.queued_jobs()
    assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (23, 1, 2)
    await worker.close()


asyncio.run(main())
