"""Dramatiq on Redis; its calls block."""

import threading

import dramatiq
import settings
from dramatiq.brokers.redis import RedisBroker

BLOCKING = True
broker = RedisBroker(url=settings.REDIS)
dramatiq.set_broker(broker)
_marking = threading.Lock()


@dramatiq.actor
def noop(arguments):
    with _marking:
        settings.mark(arguments)


def setup():
    pass


class Producer:
    one = staticmethod(noop.send)


def producer():
    return Producer()


def work():
    dramatiq.Worker(broker, worker_threads=settings.CONCURRENCY).start()
    threading.Event().wait()
