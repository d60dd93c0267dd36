# SPDX-License-Identifier: Apache-2.0
"""What rq_jobs.py has done by its worker."""


def double(n):
    return {"n": 2 * n}


def fail():
    raise ValueError("as it should")


def total(*ids):
    return sum(ids)
