"""The one command: `skiff up|status|logs|restart|down|test|bench`.

Only parsing and printing; each command's work is in a module of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kubeadm import settings
from kubeadm.daemons import REPOSITORY
from kubeadm.errors import UserError
from kubeadm.progress import Progress

app = typer.Typer(
    name="skiff",
    help="Kubernetes v1.36 in Python: a cluster on this machine, by one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DataDir = Annotated[Path, typer.Option("--data-dir", help="Where the cluster keeps its state.")]


def _absolute(data_dir: Path) -> Path:
    return Path(os.path.abspath(data_dir.expanduser()))


def seconds(text: str) -> float:
    """A Go duration such as 90s, 2m or 1m30s, in seconds. Raises UserError."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UserError(f"'{text}' is not a duration: write for example 120s or 2m.", 2)
    return sum(float(number) * units[unit] for number, unit in parts)


@app.command()
def up(
    nodes: Annotated[int | None, typer.Option(help="Number of nodes; the first is this machine.")] = None,
    data_dir: DataDir = settings.DEFAULT_DATA_DIR,
    wait: Annotated[str, typer.Option(help="How long to wait until all nodes are Ready.")] = "120s",
    api_server_port: Annotated[int | None, typer.Option(help="Port of the API server [6443].")] = None,
    service_network: Annotated[str | None, typer.Option(help="Addresses of Services [10.96.0.0/16].")] = None,
    pod_network: Annotated[str | None, typer.Option(help="Addresses of pods [10.244.0.0/16].")] = None,
    node_network: Annotated[str | None, typer.Option(help="Addresses of nodes [172.31.240.0/24].")] = None,
) -> None:
    """Bring a cluster up, or continue one; running it twice is harmless."""
    from kubeadm import up as module

    changes = {
        "nodes": nodes,
        "api_server_port": api_server_port,
        "service_network": service_network,
        "pod_network": pod_network,
        "node_network": node_network,
    }
    progress = Progress()
    result = module.run(_absolute(data_dir), changes, seconds(wait), progress)
    where = "" if result.data_dir == settings.DEFAULT_DATA_DIR else f" --data-dir {result.data_dir}"
    plural = "s" if result.nodes > 1 else ""
    progress.console.print(
        f"\nThe cluster is up: {result.nodes} node{plural}, context [bold]{result.name}[/bold]. Try:\n"
        "  kubectl get nodes -o wide\n"
        f"  kubectl apply -f {REPOSITORY / 'docs' / 'tour' / 'meow.yaml'}\n"
        "  kubectl get pods --watch\n"
        f"  ./skiff status{where}      ./skiff down{where}"
    )


@app.command()
def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove the data and the kubectl context.")
    ] = False,
    data_dir: DataDir = settings.DEFAULT_DATA_DIR,
) -> None:
    """Stop the cluster; without --purge the next 'up' continues with its data."""
    from kubeadm import down as module

    if not module.run(_absolute(data_dir), purge, Progress()):
        typer.echo(f"There is no cluster in {data_dir}; nothing to do.")


@app.command()
def status(
    output: Annotated[
        str, typer.Option("-o", "--output", help="'wide' for people, 'json' for programs.")
    ] = "wide",
    data_dir: DataDir = settings.DEFAULT_DATA_DIR,
) -> None:
    """Show each daemon: pid, uptime, restarts, memory, health. Exit code 1 when one is not well."""
    from kubeadm import status as module

    if output not in ("wide", "json"):
        raise UserError(f"--output must be 'wide' or 'json', not '{output}'.", 2)
    records = module.collect(settings.require(_absolute(data_dir)))
    if output == "json":
        typer.echo(json.dumps(records, indent=2))
    else:
        module.show(records, Console(highlight=False))
    if any(record["health"] != "ok" for record in records):
        raise typer.Exit(1)


def _require_daemon(found: settings.Settings, daemon: str) -> None:
    from kubeadm import daemons, engine

    names = [one.name for one in daemons.all_daemons(found)]
    if (found.logs / f"{engine.DAEMON_NAME}.log").exists():
        names.append(engine.DAEMON_NAME)
    if daemon not in [*names, "supervisor"]:
        raise UserError(f"There is no daemon '{daemon}'; this cluster has {', '.join(names)}.", 2)


@app.command()
def logs(
    daemon: Annotated[str, typer.Argument(help="A name from 'skiff status', or 'supervisor'.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("-n", "--tail", min=0, help="How many of the last lines.")] = 200,
    data_dir: DataDir = settings.DEFAULT_DATA_DIR,
) -> None:
    """Print a daemon's log."""
    from kubeadm import logs as module

    found = settings.require(_absolute(data_dir))
    _require_daemon(found, daemon)
    path = found.logs / f"{daemon}.log"
    if not path.exists():
        raise UserError(f"{daemon} has not written a log yet.")
    sys.stdout.buffer.write(module.tail(path, lines))
    sys.stdout.buffer.flush()
    if follow:
        for data in module.follow(path):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


@app.command()
def restart(
    daemon: Annotated[str, typer.Argument(help="A name from 'skiff status'.")],
    data_dir: DataDir = settings.DEFAULT_DATA_DIR,
) -> None:
    """Restart one daemon; pods and Services go on."""
    from kubeadm import control, preflight

    preflight.require_root("restart")
    found = settings.require(_absolute(data_dir))
    _require_daemon(found, daemon)
    if control.request(found, "restart", name=daemon) is None:
        raise UserError(f"The cluster in {found.data_dir} is not running: start it with 'skiff up'.")
    typer.echo(f"{daemon} is being restarted.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run the tests: all, or one of unit, integration, e2e; further arguments go to pytest."""
    from kubeadm import testing

    raise typer.Exit(testing.run(list(context.args)))


@app.command()
def bench(
    name: Annotated[
        str | None, typer.Argument(help="A file of benchmarks/ without its ending; none for a list.")
    ] = None,
) -> None:
    """Run a benchmark and print its figures beside the limit measured in the same run."""
    names = sorted(
        path.stem for path in (REPOSITORY / "benchmarks").glob("*.py") if not path.stem.startswith("_")
    )
    if name is None:
        typer.echo("Benchmarks: " + ", ".join(names))
        return
    if name not in names:
        raise UserError(f"There is no benchmark '{name}'; there are {', '.join(names)}.", 2)
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=REPOSITORY, check=False)
    raise typer.Exit(done.returncode)


def main() -> None:
    """Runs the command; a UserError becomes one sentence on standard error and its exit code."""
    try:
        app(prog_name="skiff")
    except UserError as error:
        typer.echo(f"skiff: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
