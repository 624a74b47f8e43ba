"""A secret of the settings is in nothing that anybody may come to see, whatever goes wrong."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from tenure import Tenure
from tenure.errors import TenureError
from tests.fix_apps import environment
from tests.servers import wait_until

CANARY = "c4n4ry"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def broken(settings):
    """Settings with the canary as password, each wrong in another way."""
    port = unused_port()
    postgres, redis = settings.postgres_url, settings.redis_url
    other = f"postgresql://u:{CANARY}@127.0.0.1"
    yield {"postgres_url": f"{other}:{port}/d"}
    yield {"postgres_url": f"postgresql://nobody:{CANARY}@/postgres?host={postgres.partition('host=')[2]}"}
    yield {"postgres_url": f"postgresql://postgres:{CANARY}@/absent?host={postgres.partition('host=')[2]}"}
    yield {"postgres_url": f"{other}:{port}/d?sslmode=nonsense"}
    yield {"postgres_url": f"{other}:{port}/d?sslmode=verify-full&sslrootcert=/absent/{CANARY}x"}
    yield {"redis_url": f"redis://u:{CANARY}@127.0.0.1:{port}/0"}
    yield {"redis_url": f"rediss://u:{CANARY}@127.0.0.1:{port}/0#insecure"}
    yield {"redis_url": f"rediss://u:{CANARY}@127.0.0.1:{port}/0?ssl_{CANARY}=1"}
    yield {"redis_url": f"redis://u:{CANARY}@127.0.0.1:{port}/not-a-number"}
    yield {"redis_url": f"{redis}?user=nobody&pass={CANARY}"}
    yield {"redis_url": f"redis://u:{CANARY}@127.0.0.1:{port}/0", "require_tls": True}


async def test_no_error_shows_it(settings, caplog):
    """Neither the message nor the traceback, with all that it was caused by, nor the log."""
    if "?host=" not in settings.postgres_url:
        pytest.skip("the URLs are made for servers of the tests' own")
    shown = []
    with caplog.at_level(logging.DEBUG):
        for change in broken(settings):
            given = replace(settings, **change)
            shown.append(repr(given))
            with pytest.raises(TenureError) as failed:
                async with Tenure(given):
                    pass
            shown.append("".join(traceback.format_exception(failed.value)))
    shown += [record.getMessage() for record in caplog.records]
    assert not [text for text in shown if f":{CANARY}" in text or f"={CANARY}" in text]


@pytest.mark.parametrize("command", [["doctor"], ["stats"], ["worker", "tests.handlers:app"], ["migrate", "up"]])
def test_no_command_shows_it(settings, command):
    port = unused_port()
    variables = environment(settings) | {
        "TENURE_POSTGRES_URL": f"postgresql://u:{CANARY}@127.0.0.1:{port}/d",
        "TENURE_REDIS_URL": f"redis://u:{CANARY}@127.0.0.1:{port}/0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tenure", "--debug", *command],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode != 0
    assert "cannot be asked" in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system shows no command lines here")
def test_no_process_shows_it(settings, access):
    """Neither a worker nor its children have it on their command lines, where every user of a machine may read."""
    variables = environment(access["worker"].settings)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tenure", "worker", "tests.handlers:app", "--processes", "2"],
        env=variables,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(_children(worker.pid)) == 2, "two children run")
        lines = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (worker.pid, *_children(worker.pid)))
        assert b"tenure" in lines
        assert b"of-this-test-only" not in lines
    finally:
        worker.terminate()
        worker.wait(20)


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in found.read_text().split()]
