"""The command line's side of the supervisor's socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

from kubeadm import daemons
from kubeadm.errors import UserError
from kubeadm.settings import Settings


def request(settings: Settings, command: str, timeout: float = 60, **arguments: Any) -> dict[str, Any] | None:
    """One request; None where no supervisor runs. Raises UserError with the supervisor's own refusal."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(settings.run / "supervisor.sock"))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except PermissionError as error:
            raise UserError("The cluster belongs to root: run this command as root.") from error
        connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        with connection.makefile() as stream:
            line = stream.readline()
    answer: dict[str, Any] = json.loads(line) if line else {}
    if "error" in answer:
        raise UserError(answer["error"] + ".")
    return answer


def start(settings: Settings, first: list[daemons.Daemon]) -> None:
    """Starts the supervisor, or tells the running one what the cluster now consists of.

    `first` are processes to run before the cluster's own: the engine, where it is ours.
    """
    specs = [daemon.as_json() for daemon in [*first, *daemons.all_daemons(settings)]]
    settings.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.logs.mkdir(parents=True, exist_ok=True)
    temporary = settings.run / ".daemons.json.new"
    temporary.write_text(json.dumps(specs, indent=1))
    os.replace(temporary, settings.run / "daemons.json")
    if request(settings, "reload") is not None:
        return
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPATH"] = str(daemons.REPOSITORY)
    # Fewer arenas: a daemon that had one busy moment gives its memory back.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    with (settings.logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-S", "-m", "kubeadm.supervisor", str(settings.data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    for _ in range(200):
        with contextlib.suppress(UserError):
            if request(settings, "status") is not None:
                return
        time.sleep(0.05)
    raise UserError(f"The supervisor did not start: see {settings.logs / 'supervisor.log'}.")
