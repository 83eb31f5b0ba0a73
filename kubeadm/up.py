"""`skiff up`: from nothing, or from whatever there is, to a cluster whose nodes are Ready.

A list of steps, each a line that the user sees. Every step may find its work already done, so a second run is
harmless and a run after a crash or a reboot continues.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from kubeadm import api, control, daemons, engine, kubeconfig, packages, pki, preflight, settings
from kubeadm.errors import UserError
from kubeadm.progress import Progress
from kubeadm.settings import Settings


def decide(data_dir: Path, changes: dict[str, Any]) -> tuple[Settings, Settings | None]:
    """The settings wanted and those found. Options that were not given keep the existing cluster's values.

    Raises UserError for an option that cannot change in an existing cluster.
    """
    found = settings.load(data_dir)
    given = {key: value for key, value in changes.items() if value is not None}
    if found is None:
        preflight.require_clean_directory(data_dir)
        wanted = Settings(data_dir=data_dir, name=settings.cluster_name(data_dir), **given)
    else:
        wanted = replace(found, **given)
        for option in ("service_network", "pod_network", "node_network"):
            if getattr(found, option) != getattr(wanted, option):
                raise UserError(
                    f"--{option.replace('_', '-')} of an existing cluster cannot change "
                    f"(it is {getattr(found, option)}): remove the cluster with 'skiff down --purge' first."
                )
    wanted.validate()
    return wanted, found


def run(data_dir: Path, changes: dict[str, Any], wait_seconds: float, progress: Progress) -> Settings:
    """Brings the cluster up and returns its settings. Raises UserError; what was started stays for a look."""
    preflight.require_root("up")
    wanted, found = decide(data_dir, changes)
    running = found is not None and control.request(wanted, "status") is not None
    if not running and not _orphans(wanted):
        preflight.require_free_ports(wanted)
    deadline = time.monotonic() + wait_seconds

    missing = packages.missing(engine_answers=engine.answers(wanted.engine_endpoint))
    if missing:
        with progress.step(f"Installing {', '.join(missing)}"):
            packages.install(missing)
    own_engine = _needs_own_engine(wanted)
    wanted.save()
    with progress.step("Certificates and kubeconfigs"):
        pki.create(wanted)
        _write_configurations(wanted)
    with progress.step(f"Network for {wanted.nodes} node{'s' if wanted.nodes > 1 else ''}"):
        from kubeadm import fabric  # netlink is loaded only by the commands that need it

        fabric.create(wanted)
    with progress.step("Starting the daemons"):
        control.start(wanted, [engine.daemon(wanted.engine_endpoint)] if own_engine else [])
    if own_engine:
        with progress.step("Docker engine"):
            if not engine.wait(wanted.engine_endpoint, max(30, deadline - time.monotonic())):
                raise UserError(f"The Docker engine did not start: see {wanted.logs / 'docker-engine.log'}.")
    with progress.step("Images"):
        _images(wanted)
    logs = f"see 'skiff status' and the logs in {wanted.logs}"
    with progress.step("API server is ready"):
        api.wait(lambda: api.is_ready(wanted), deadline, "The API server did not become ready", logs)
    if found is not None and found.nodes > wanted.nodes:
        with progress.step(f"Removing {found.nodes - wanted.nodes} nodes"):
            _remove_nodes(found, wanted)
    names = {node.name for node in wanted.all_nodes()}
    with progress.step("Nodes are Ready"):
        api.wait(
            lambda: names <= api.ready_nodes(wanted),
            deadline,
            f"Nodes {', '.join(sorted(names))} did not become Ready",
            logs,
        )
    with progress.step("kubectl context"):
        path = kubeconfig.user_path(dict(os.environ))
        kubeconfig.merge(path, yaml.safe_load(wanted.admin_kubeconfig.read_text()))
    return wanted


def _orphans(wanted: Settings) -> bool:
    """True where daemons of this cluster run without their supervisor; the next one adopts them."""
    from kubeadm.supervisor import start_time

    return any(
        start_time(int(pid)) is not None
        for file in wanted.run.glob("*.pid")
        for pid in [yaml.safe_load(file.read_text() or "{}").get("pid", 0)]
    )


def _needs_own_engine(wanted: Settings) -> bool:
    """True where the engine is, or has to be, one of our own."""
    if (wanted.run / f"{engine.DAEMON_NAME}.pid").exists():
        return True
    if engine.answers(wanted.engine_endpoint) or engine.start_by_service_manager(wanted.engine_endpoint):
        return False
    engine.daemon(wanted.engine_endpoint)  # says so at once where there is none
    return True


def _write_configurations(wanted: Settings) -> None:
    wanted.configs.mkdir(parents=True, exist_ok=True)
    for node in wanted.all_nodes():
        wanted.node_root(node).mkdir(parents=True, exist_ok=True, mode=0o750)
        for name, document in (
            (f"kubelet-{node.name}.yaml", daemons.kubelet_configuration(wanted, node)),
            (f"kube-proxy-{node.name}.yaml", daemons.kube_proxy_configuration(wanted, node)),
        ):
            (wanted.configs / name).write_text(yaml.safe_dump(document, sort_keys=False))


def _images(wanted: Settings) -> None:
    done = subprocess.run(
        [*daemons.python("deploy.images.build"), f"--engine={wanted.engine_endpoint}"],
        cwd=daemons.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"The pause image could not be made: {words[-1]}")


def _remove_nodes(found: Settings, wanted: Settings) -> None:
    from kubeadm import fabric

    for node in found.all_nodes()[wanted.nodes :]:
        api.delete_node(wanted, node.name)
        engine.remove_containers(wanted.engine_endpoint, wanted.name, node.name)
        fabric.remove_node(wanted, node)
        shutil.rmtree(found.node_root(node), ignore_errors=True)
