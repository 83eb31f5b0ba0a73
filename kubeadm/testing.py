"""`skiff test`: brings what the tests need, runs the static checks and pytest, and takes it away again.

A fresh Debian machine has neither an engine nor etcd: packages are installed, an engine is started for the time of the
run if none answers, and images are built. Unit tests need none of that.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubeadm import daemons, engine, packages
from kubeadm.errors import UserError
from kubeadm.progress import Progress

SUITES = ("unit", "integration", "e2e")
ENDPOINT = "unix:///var/run/docker.sock"


def run(arguments: Sequence[str]) -> int:
    """Returns pytest's exit code (or that of the first check that failed). Raises UserError for an unknown suite."""
    suites = [argument for argument in arguments if argument in SUITES]
    rest = [argument for argument in arguments if argument not in SUITES]
    unknown = [
        argument for argument in rest if not argument.startswith("-") and "/" not in argument and not suites
    ]
    if unknown and not any(argument.startswith("-") for argument in rest):
        raise UserError(f"There is no test suite '{unknown[0]}'; there are {', '.join(SUITES)}.", 2)
    progress = Progress()
    _install_test_packages(progress)
    if not arguments:
        code = _static_checks(progress)
        if code != 0:
            return code
    named = any("/" in argument for argument in rest)
    paths = [f"tests/{suite}" for suite in suites or (() if named else SUITES)]
    if suites == ["unit"]:
        return _pytest([*paths, *rest])
    if os.geteuid() != 0:
        raise UserError(
            "Integration and end-to-end tests must be run as root; 'skiff test unit' needs no root."
        )
    missing = packages.missing(engine_answers=engine.answers(ENDPOINT))
    if missing:
        with progress.step(f"Installing {', '.join(missing)}"):
            packages.install(missing)
    started = _start_engine(progress)
    try:
        with progress.step("Images"):
            command = [*daemons.python("deploy.images.build"), "--tests"]
            subprocess.run(command, cwd=daemons.REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        return _pytest([*paths, *rest], started)
    finally:
        if started is not None:
            started.terminate()
            started.wait(60)


def _install_test_packages(progress: Progress) -> None:
    """pytest and its company are an extra of the package, installed the first time that they are wanted."""
    wanted = ("hypothesis", "importlinter", "kubernetes", "mypy", "pytest_asyncio", "pytest_timeout")
    if any(importlib.util.find_spec(name) is None for name in wanted):
        with progress.step("Installing the test packages"):
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", ".[test]"]
            done = subprocess.run(
                command, cwd=daemons.REPOSITORY, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["no reason given"]
            raise UserError(f"The test packages could not be installed: {words[-1]}")


def _static_checks(progress: Progress) -> int:
    """ruff, import-linter and mypy; the first that fails ends the run with its own output."""
    binaries = Path(sys.executable).parent
    for title, (program, *rest) in (
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("import-linter", ["lint-imports"]),
        ("mypy --strict", ["mypy"]),
    ):
        with progress.step(title):
            done = subprocess.run(
                [binaries / program, *rest],
                cwd=daemons.REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            return done.returncode
    return 0


def _start_engine(progress: Progress) -> subprocess.Popen[bytes] | None:
    """Starts an engine where none answers; the caller ends it."""
    if engine.answers(ENDPOINT) or engine.start_by_service_manager(ENDPOINT):
        return None
    spec = engine.daemon(ENDPOINT)
    log = Path(tempfile.gettempdir()) / "skiff-test-engine.log"
    with progress.step("Docker engine"), log.open("ab") as stream:
        child = subprocess.Popen(
            spec.argv,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **dict(spec.env)},
            start_new_session=True,
        )
        if not engine.wait(ENDPOINT, 60):
            child.terminate()
            raise UserError(f"The Docker engine did not start: see {log}.")
    return child


def _pytest(arguments: Sequence[str], own_engine: subprocess.Popen[bytes] | None = None) -> int:
    """Runs pytest. An engine that was started for the tests is named to them by pid: the end-to-end tests, which come
    last, end it, so that their cluster runs an engine of its own as it would on a new machine."""
    environment = dict(os.environ)
    if own_engine is not None:
        environment["SKIFF_TEST_ENGINE_PID"] = str(own_engine.pid)
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=daemons.REPOSITORY, env=environment, check=False).returncode
