# SPDX-License-Identifier: Apache-2.0
"""huey: tasks with results, retries, priorities and locks, by a consumer of threads."""
import logging
import os
import threading
import time

from huey import PriorityRedisHuey, RedisHuey
from huey.exceptions import TaskException

logging.disable(logging.CRITICAL)  # some tasks fail on purpose
URL = os.environ["REDIS_URL"]


def finally_of(result):
    """The result of a task that is tried again: what failed is kept until the next try has ended."""
    end = time.monotonic() + 60
    while True:
        try:
            return result.get(blocking=True, timeout=60, preserve=True)
        except TaskException:
            assert time.monotonic() < end
            result.reset()
            time.sleep(0.02)


def tried(huey):
    tries = []

    @huey.task()
    def double(n):
        return {"n": 2 * n}

    @huey.task(retries=2)
    def hard():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return "done"

    @huey.task()
    def fail():
        raise ValueError("as it should")

    waiting = [double(n) for n in range(20)]
    again, bad = hard(), fail()
    assert huey.pending_count() == 22
    stop = threading.Event()

    def work():
        while not stop.is_set():
            task = huey.dequeue()
            if task is not None:
                huey.execute(task)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert [w.get(blocking=True, timeout=60) for w in waiting] == [{"n": 2 * n} for n in range(20)]
        assert finally_of(again) == "done" and len(tries) == 3
        try:
            bad.get(blocking=True, timeout=60)
            raise AssertionError("it did not fail")
        except TaskException as why:
            assert "as it should" in str(why)
    finally:
        stop.set()
        worker.join()
    assert huey.pending_count() == 0
    with huey.lock_task("one"):
        assert huey.is_locked("one")
    assert not huey.is_locked("one")
    huey.put("k", {"a": 1})
    assert huey.get("k", peek=True) == {"a": 1} and huey.get("k") == {"a": 1} and huey.get("k") is None
    later = double.schedule((5,), delay=1)
    task = None
    while task is None:
        task = huey.dequeue()
        for due in huey.read_schedule():
            huey.enqueue(due)
        if task is not None and not huey.ready_to_run(task):
            huey.add_schedule(task)
            task = None
    huey.execute(task)
    assert later.get(blocking=True, timeout=60) == {"n": 10}


tried(RedisHuey("plain", url=URL, immediate=False))
tried(PriorityRedisHuey("ranked", url=URL, immediate=False))
