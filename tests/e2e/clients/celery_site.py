# SPDX-License-Identifier: Apache-2.0
"""The Django site and Celery application that celery_jobs.py runs: its tasks, its settings."""
import os
import time

import django
from django.conf import settings

URL = os.environ["REDIS_URL"]
settings.configure(
    SECRET_KEY="x" * 50, INSTALLED_APPS=["django.contrib.contenttypes"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": URL + "/4"}},
    CELERY_BROKER_URL=URL + "/0", CELERY_RESULT_BACKEND=URL + "/1", CELERY_TASK_ACKS_LATE=True,
    CELERY_WORKER_PREFETCH_MULTIPLIER=1, CELERY_RESULT_EXPIRES=600,
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP=True,
    CELERY_BROKER_TRANSPORT_OPTIONS={"visibility_timeout": 10, "queue_order_strategy": "priority",
                                     "priority_steps": [0, 3, 6, 9]},
    CELERY_TASK_DEFAULT_QUEUE="jobs")
django.setup()

from celery import Celery  # noqa: E402
from django.core.cache import cache  # noqa: E402

app = Celery("site")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="fails")
def fails():
    raise ValueError("as it should")


@app.task(name="hard", bind=True, max_retries=5)
def hard(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task(name="note")
def note(name):
    """Notes in the cache in what order the tasks came."""
    cache.set("order", (cache.get("order") or []) + [name])


@app.task(name="when")
def when():
    return time.time()


@app.task(name="die_once")
def die_once():
    """Takes the whole worker along, the first time."""
    if cache.incr("lives") == 1:
        cache.set("died", os.getppid())
        time.sleep(60)
    return "alive"
