"""The summary as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure.cli._output import print_table

if TYPE_CHECKING:
    from tenure.demo.run import Summary


def print_summary(summary: Summary) -> None:
    """Print what PostgreSQL says."""
    found, report = summary.figures, summary.report
    print_table(
        "what PostgreSQL says",
        ("figure", "value"),
        (
            ("jobs enqueued", summary.enqueued),
            ("of them files, packages, reports, probes", [summary.files, summary.packages, 1, summary.probes]),
            ("completed", found.completed),
            ("dead letters (files that do not parse)", found.dead_letters),
            ("retries", found.retries),
            ("attempts lost with the killed worker, and rescued", found.rescued),
            ("duplicates", found.duplicates),
            ("seconds", summary.seconds),
            ("jobs per second", summary.jobs_per_second),
            # Of probes sent while the workers are busy: the wait of the other jobs is the length of the queue.
            ("pick-up of an urgent job by busy workers, P50 ms", found.pickup_p50_ms),
            ("pick-up of an urgent job by busy workers, P99 ms", found.pickup_p99_ms),
            (
                "lines, functions, classes in the report",
                [report.get(name) for name in ("lines", "functions", "classes")],
            ),
        ),
    )
