# SPDX-License-Identifier: Apache-2.0
"""Celery with Django: broker, results, retries, countdown, chords, priorities, inspect, and a worker
that is killed while it works."""
import os
import signal
import subprocess
import sys
import time

import celery_site as site
import redis
from celery import chain, chord, group
from django.core.cache import cache

workers = []


def worker(*args):
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_site", "worker", "-l", "WARNING", "-c", "1",
         "--without-mingle", "--without-gossip", "-n", f"w{len(workers)}@test", *args],
        start_new_session=True)
    workers.append(process)
    return process


def end(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
    process.wait(90)


def until(what, seconds=120):
    late = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < late, "it did not come"
        time.sleep(0.05)


def priorities():
    """Before there is a worker, so that all of them wait."""
    for name, priority in (("c", 9), ("a", 0), ("b", 3), ("a2", 0), ("b2", 3)):
        site.note.apply_async((name,), priority=priority)
    r = redis.Redis.from_url(site.URL)
    assert r.llen("jobs") == 2 and r.llen("jobs\x06\x163") == 2 and r.llen("jobs\x06\x169") == 1


def tasks():
    until(lambda: len(cache.get("order") or []) == 5)
    assert cache.get("order") == ["a", "a2", "b", "b2", "c"], cache.get("order")
    sums = [site.add.delay(n, n) for n in range(20)]
    assert [s.get(timeout=90) for s in sums] == [2 * n for n in range(20)]
    failed = site.fails.delay()
    try:
        failed.get(timeout=90)
        raise AssertionError("it did not fail")
    except ValueError as why:
        assert str(why) == "as it should" and failed.status == "FAILURE"
    assert site.hard.delay().get(timeout=90) == 2
    began = time.time()
    assert site.when.apply_async(countdown=1).get(timeout=90) >= began + 0.95
    assert chain(site.add.s(1, 2), site.add.s(10))().get(timeout=90) == 13
    assert group(site.add.s(n, 1) for n in range(5))().get(timeout=90) == [1, 2, 3, 4, 5]
    assert chord((site.add.s(n, n) for n in range(10)), site.total.s())().get(timeout=90) == 90
    kept = site.add.delay(1, 1)
    assert kept.get(timeout=90) == 2
    kept.forget()
    assert redis.Redis.from_url(site.URL + "/1").exists("celery-task-meta-" + kept.id) == 0


def control():
    inspect = site.app.control.inspect(timeout=5)

    def of_worker(ask):
        """What the one worker answers, which it may be too busy to do in time."""
        return next(iter((ask() or {}).values()), None)

    until(lambda: of_worker(inspect.ping) == {"ok": "pong"})
    until(lambda: {"add", "hard", "die_once"} <= set(of_worker(inspect.registered) or ()))
    later = site.add.apply_async((1, 1), countdown=100)
    until(lambda: of_worker(inspect.scheduled))
    later.revoke()
    until(lambda: later.id in (of_worker(inspect.revoked) or ()))


def killed(first):
    cache.set("lives", 0)
    lost = site.die_once.delay()
    until(lambda: cache.get("died") is not None)
    end(first, signal.SIGKILL)
    assert redis.Redis.from_url(site.URL).hlen("unacked") >= 1
    time.sleep(11)
    second = worker()
    assert lost.get(timeout=120) == "alive" and cache.get("lives") == 2
    end(second, signal.SIGTERM)


try:
    priorities()
    first = worker()
    tasks()
    control()
    killed(first)
finally:
    for process in workers:
        if process.poll() is None:
            end(process, signal.SIGKILL)
