"""Celery on Redis with forked workers; its calls block."""

import sys

import settings
from celery import Celery

BLOCKING = True
app = Celery("bench", broker=settings.REDIS)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    broker_pool_limit=100,
    task_default_queue="bench",
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(arguments):
    settings.mark(arguments)


def setup():
    pass


class Producer:
    def one(self, arguments):
        noop.apply_async((arguments,))


def producer():
    return Producer()


def work():
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    sys.argv = ["celery"]
    app.worker_main(["worker", "-P", "prefork", "-c", str(settings.CONCURRENCY), *quiet])
