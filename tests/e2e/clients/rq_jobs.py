# SPDX-License-Identifier: Apache-2.0
"""RQ: jobs with results, failures, dependencies and schedules, by workers in processes of their own."""
import datetime
import logging
import os
import time

import redis
import rq
import rq_work
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

logging.disable(logging.CRITICAL)  # some jobs fail on purpose
r = redis.Redis.from_url(os.environ["REDIS_URL"])
high, low = rq.Queue("high", connection=r), rq.Queue("low", connection=r)


def burst():
    rq.Worker([high, low], connection=r, name=f"w{time.monotonic_ns()}").work(
        burst=True, with_scheduler=False, logging_level="ERROR")


jobs = [low.enqueue(rq_work.double, n) for n in range(5)]
first = high.enqueue(rq_work.double, 100, result_ttl=500, meta={"who": "me"})
bad = low.enqueue(rq_work.fail)
after = low.enqueue(rq_work.total, 1, 2, 3, depends_on=jobs[:2])
assert len(low) == 6 and len(high) == 1 and after.get_status() == JobStatus.DEFERRED
assert low.get_job_ids() == [job.id for job in [*jobs, bad]]
low.remove(jobs[4].id)
assert len(low) == 5
burst()
assert [job.return_value() for job in jobs[:4]] == [{"n": 2 * n} for n in range(4)]
assert first.return_value() == {"n": 200} and after.return_value() == 6
assert jobs[4].get_status() == JobStatus.QUEUED and jobs[4].return_value() is None
first.refresh()
jobs[0].refresh()
assert first.ended_at <= jobs[0].started_at, "queues have an order"
assert Job.fetch(first.id, connection=r).meta == {"who": "me"} and 300 < r.ttl("rq:job:" + first.id) <= 500

assert bad.get_status() == JobStatus.FAILED and "as it should" in bad.latest_result().exc_string
failed = FailedJobRegistry(queue=low)
assert failed.get_job_ids() == [bad.id]
assert set(FinishedJobRegistry(queue=low).get_job_ids()) == {j.id for j in [*jobs[:4], after]}
failed.requeue(bad.id)
assert len(failed) == 0 and low.get_job_ids() == [bad.id]
burst()
assert failed.get_job_ids() == [bad.id] and len(bad.results()) == 2

later = low.enqueue_in(datetime.timedelta(seconds=60), rq_work.double, 1)
assert later.id in ScheduledJobRegistry(queue=low) and len(low) == 0
later.cancel()
assert later.get_status() == JobStatus.CANCELED
assert {q.name for q in rq.Queue.all(connection=r)} == {"high", "low"}
assert r.hgetall("rq:job:" + first.id)[b"origin"] == b"high"
low.enqueue(rq_work.double, 1)
low.enqueue(rq_work.double, 2)
low.empty()
assert len(low) == 0
