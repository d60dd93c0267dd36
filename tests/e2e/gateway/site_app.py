# SPDX-License-Identifier: Apache-2.0
"""
The Django site of the gateway job: a view that takes orders, and the Celery application that carries
them out. What is set below is what a user sets whose jobs must not get lost: tasks are acknowledged
when they are done, and what a dead worker held comes back after the visibility timeout.
"""
import os

import django
from django.conf import settings

URL = os.environ["REDIS_URL"]
CHORD = 4  # tasks in a chord's header
VISIBILITY_S = 5
settings.configure(
    SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_app",
    INSTALLED_APPS=["django.contrib.contenttypes"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": URL + "/4", "TIMEOUT": None}},
    CELERY_BROKER_URL=URL + "/0", CELERY_RESULT_BACKEND=URL + "/1", CELERY_TASK_ACKS_LATE=True,
    CELERY_TASK_REJECT_ON_WORKER_LOST=True, CELERY_WORKER_PREFETCH_MULTIPLIER=2,
    CELERY_RESULT_EXPIRES=3600, CELERY_RESULT_BACKEND_ALWAYS_RETRY=True,
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP=True, CELERY_BROKER_CONNECTION_MAX_RETRIES=None,
    CELERY_BROKER_TRANSPORT_OPTIONS={
        "visibility_timeout": VISIBILITY_S, "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1, "unacked_mutex_expire": VISIBILITY_S},
    CELERY_TASK_DEFAULT_QUEUE="jobs")
django.setup()

from celery import Celery, chord  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

app = Celery("site")
app.config_from_object("django.conf:settings", namespace="CELERY")


def executed(name):
    """One line behind the others, whatever becomes of this process a moment later."""
    fd = os.open(os.environ["EXECUTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, name.encode() + b"\n")
    os.close(fd)


@app.task(name="plain")
def plain(n):
    executed(f"plain-{n}")
    return n * n


@app.task(name="hard", bind=True, max_retries=20)
def hard(self, n):
    """Fails at first, and is tried again."""
    if self.request.retries == 0:
        raise self.retry(countdown=0.3)
    executed(f"hard-{n}")
    return n * n


@app.task(name="later")
def later(n):
    executed(f"later-{n}")
    return n * n


@app.task(name="part")
def part(n):
    return n


@app.task(name="chord")
def total(parts, n):
    executed(f"chord-{n}")
    return n * n if parts == [n] * CHORD else f"the header gave {parts}"


def send(kind, n):
    name = f"{kind}-{n}"
    if kind == "chord":
        chord(part.s(n) for _ in range(CHORD))(total.s(n).set(task_id=name))
    else:
        task = {"plain": plain, "hard": hard, "later": later}[kind]
        task.apply_async((n,), task_id=name, countdown=1.0 if kind == "later" else None)


def order(_request, kind, n):
    send(kind, n)
    cache.set(f"{kind}-{n}", "ordered")
    return HttpResponse(status=202)


urlpatterns = [path("order/<str:kind>/<int:n>", order)]
