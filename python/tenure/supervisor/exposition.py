"""Figures in Prometheus' text format, printed or served."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tenure.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from prometheus_client import Metric

    from tenure.supervisor.figures import Figures

logger = logging.getLogger("tenure.metrics")

# Family to its labels and what it is.
_FAMILIES: Final = {
    "tenure_stores_up": ((), "whether both stores answered at the latest look; without that nothing else is told"),
    "tenure_workers_desired": (("group",), "processes that a group should have by its load, within its bounds"),
    "tenure_workers": (("status",), "live workers by what the registry says of them"),
    "tenure_jobs": (("queue", "state"), "jobs that wait for a worker, and jobs that are leased"),
    "tenure_oldest_ready_seconds": (("queue",), "how long the oldest job has waited that waits for a worker"),
}


class Exposition:
    """The latest figures; a collector of its own registry, so that nothing else of the process is told."""

    def __init__(self) -> None:
        """Nothing is known yet.

        Raises:
            ConfigurationError: prometheus-client is not installed.
        """
        try:
            import prometheus_client  # noqa: PLC0415 - an extra
            import prometheus_client.core  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError("the metrics need an extra: pip install 'tenure[metrics]'") from error
        self._client = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        self._figures: Figures | None = None

    def update(self, figures: Figures | None) -> None:
        """Tell these from now on; None: a store could not be asked, and what was so before is no answer."""
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client wants it."""
        figures = self._figures
        samples: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "tenure_stores_up": [((), float(figures is not None))]
        }
        if figures is not None:
            queues = figures.queues.items()
            samples |= {
                "tenure_workers_desired": [((name,), one.desired) for name, one in figures.groups.items()],
                "tenure_workers": [((status,), count) for status, count in figures.workers.items()],
                "tenure_jobs": [
                    *(((name, "PENDING"), one.ready) for name, one in queues),
                    *(((name, "PROCESSING"), one.running) for name, one in queues),
                ],
                "tenure_oldest_ready_seconds": [((name,), one.oldest_seconds) for name, one in queues],
            }
        for family, values in samples.items():
            labels, what = _FAMILIES[family]
            metric = self._client.core.GaugeMetricFamily(family, what, labels=labels)
            for given, value in values:
                metric.add_metric(given, value)
            yield metric

    def text(self) -> str:
        """All of it."""
        return self._client.generate_latest(self._registry).decode()

    @contextmanager
    def served(self, address: str, port: int) -> Iterator[str]:
        """Serve it, in a thread; what it is bound to.

        Raises:
            ConfigurationError: the address cannot be listened to.
        """
        try:
            server, thread = self._client.start_http_server(port, address, self._registry)
        except OSError as error:
            raise ConfigurationError(
                f"the metrics cannot be served at this address: {address}:{port}: {error}"
            ) from error
        try:
            yield f"{address}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    async def keep_up(self, look: Callable[[], Awaitable[Figures]], every: float) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(every)
            try:
                self.update(await look())
            except StoreUnavailable as error:
                logger.warning("the metrics wait: %s", error)
                self.update(None)
