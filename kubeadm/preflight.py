"""Checks before anything is changed. Each raises UserError with one sentence that says what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from kubeadm.errors import UserError
from kubeadm.settings import Settings


def require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise UserError(f"'skiff {command}' must be run as root (try: sudo ./skiff {command}).")


def require_clean_directory(data_dir: Path) -> None:
    """A directory with other people's files is never taken over."""
    try:
        entries = {entry.name for entry in data_dir.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise UserError(f"{data_dir} is not a directory.") from error
    if entries:
        raise UserError(
            f"{data_dir} is not empty and holds no cluster: choose another --data-dir, "
            "or clear away what a half-finished start left with 'skiff down --purge'."
        )


def require_free_ports(settings: Settings) -> None:
    """Each port that a daemon will listen on must be free on the address where it will listen."""
    loopback = {
        "etcd": (settings.etcd_port, settings.etcd_port + 1, settings.etcd_port + 2),
        "the scheduler": (settings.scheduler_port,),
        "the controller manager": (settings.controller_manager_port,),
    }
    everywhere = {
        "the API server": (settings.api_server_port,),
        "the kubelet": (settings.kubelet_port,),
        "kube-proxy": (10256,),
    }
    for address, wanted in (("127.0.0.1", loopback), ("0.0.0.0", everywhere)):
        for user, ports in wanted.items():
            for port in ports:
                _require_free(address, port, user)


def _require_free(address: str, port: int, user: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise UserError(
                f"Port {port}, which {user} needs, is taken by another program or another cluster: stop that first."
            ) from error
