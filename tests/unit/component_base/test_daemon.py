"""A daemon's process ends as it should: by signal, by itself, by failing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap

import pytest

from component_base.daemon import Backoff


def start(main: str) -> subprocess.Popen[str]:
    head = "import asyncio\nfrom component_base import daemon, logs\nlogs.configure('test')"
    program = f"{head}\n{textwrap.dedent(main)}\ndaemon.run(main)"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_stop_and_the_exit_code_is_zero(number: signal.Signals) -> None:
    child = start(
        """
        async def main(stop):
            print("ready", flush=True)
            await stop.wait()
            print("done", flush=True)
        """
    )
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.send_signal(number)
    out, _ = child.communicate(timeout=10)
    assert (child.returncode, out) == (0, "done\n")


def test_a_second_signal_ends_a_daemon_that_does_not_stop() -> None:
    child = start(
        """
        async def main(stop):
            print("ready", flush=True)
            await stop.wait()
            print("stopping", flush=True)
            await asyncio.sleep(60)
        """
    )
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.terminate()
    assert child.stdout.readline() == "stopping\n"
    child.terminate()
    child.communicate(timeout=10)
    assert child.returncode == 128 + signal.SIGTERM


def test_a_failure_is_logged_and_exits_with_one() -> None:
    child = start("async def main(stop):\n    raise OSError('no disk')")
    _, err = child.communicate(timeout=10)
    assert child.returncode == 1 and "no disk" in err


def test_a_message_of_system_exit_is_shown() -> None:
    child = start("async def main(stop):\n    raise SystemExit('lost')")
    _, err = child.communicate(timeout=10)
    assert (child.returncode, err.strip().splitlines()[-1]) == (1, "lost")


def test_backoff_grows_to_its_cap_and_starts_anew() -> None:
    backoff = Backoff(initial=1, factor=2, cap=5, jitter=0)
    assert [backoff.next() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next() == 1


async def test_a_wait_ends_early_when_stopping() -> None:
    stop = asyncio.Event()
    assert not await Backoff(initial=0.01).wait(stop)
    stop.set()
    assert await Backoff(initial=60).wait(stop)
