"""What a cluster is made of, as values: names, addresses, ranges and the places of its files.

The settings of a cluster are written once to `<data-dir>/cluster.json` when it is first brought up, so that every
later command finds the same cluster again. Nothing here touches the network or starts anything.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
import os
from pathlib import Path

from kubeadm.errors import UserError

DEFAULT_DATA_DIR = Path("/var/lib/skiff")
KUBERNETES_VERSION = "v1.36.0"
MAX_NODES = 32


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a one-machine cluster; `namespace` is None for the machine itself."""

    name: str
    address: str
    namespace: str | None


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that is decided before the first process starts.

    Networks are in CIDR form. Ports are those that Kubernetes users expect; all of them are options.
    """

    data_dir: Path
    name: str = "skiff"
    nodes: int = 1
    api_server_port: int = 6443
    etcd_port: int = 2379
    kubelet_port: int = 10250
    scheduler_port: int = 10259
    controller_manager_port: int = 10257
    service_network: str = "10.96.0.0/16"
    pod_network: str = "10.244.0.0/16"
    node_network: str = "172.31.240.0/24"
    node_port_range: str = "30000-32767"
    engine_endpoint: str = "unix:///var/run/docker.sock"

    # -- places ------------------------------------------------------------------------------------------

    @property
    def pki(self) -> Path:
        return self.data_dir / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.data_dir / "kubeconfig"

    @property
    def configs(self) -> Path:
        return self.data_dir / "config"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.kubeconfigs / "admin.conf"

    def node_root(self, node: Node) -> Path:
        """The directory of one node's kubelet (pods, volumes, plugin state)."""
        return self.data_dir / "nodes" / node.name

    # -- addresses ---------------------------------------------------------------------------------------

    @property
    def machine_address(self) -> str:
        """The machine's own address on the node network: the first host address."""
        return str(next(ipaddress.ip_network(self.node_network).hosts()))

    @property
    def kubernetes_service_address(self) -> str:
        """The ClusterIP of the `kubernetes` Service: the first address of the service network."""
        return str(next(ipaddress.ip_network(self.service_network).hosts()))

    @property
    def local_url(self) -> str:
        return f"https://127.0.0.1:{self.api_server_port}"

    @property
    def advertised_url(self) -> str:
        return f"https://{self.machine_address}:{self.api_server_port}"

    @property
    def fabric_namespace(self) -> str:
        return f"{self.name}-fabric"

    @property
    def fabric_interface(self) -> str:
        """The machine's leg into the node network."""
        return f"{self.name}0"

    def all_nodes(self) -> list[Node]:
        """Node 1 is the machine itself; the others are network namespaces on the node network."""
        hosts = ipaddress.ip_network(self.node_network).hosts()
        result = []
        for number in range(1, self.nodes + 1):
            namespace = None if number == 1 else f"{self.name}-node-{number}"
            result.append(Node(f"node-{number}", str(next(hosts)), namespace))
        return result

    # -- checks and persistence --------------------------------------------------------------------------

    def validate(self) -> None:
        """Raises UserError where a value cannot work."""
        if not 1 <= self.nodes <= MAX_NODES:
            raise UserError(f"--nodes must be between 1 and {MAX_NODES}, not {self.nodes}.", 2)
        networks = {}
        for option, text in (
            ("--service-network", self.service_network),
            ("--pod-network", self.pod_network),
            ("--node-network", self.node_network),
        ):
            try:
                networks[option] = ipaddress.ip_network(text)
            except ValueError as error:
                raise UserError(f"{option}: {error}.", 2) from error
        options = list(networks)
        for index, option in enumerate(options):
            for other in options[index + 1 :]:
                if networks[option].overlaps(networks[other]):
                    raise UserError(f"{option} {networks[option]} overlaps {other} {networks[other]}.", 2)
        if networks["--node-network"].num_addresses < self.nodes + 2:
            raise UserError(f"--node-network {self.node_network} is too small for {self.nodes} nodes.", 2)

    def save(self) -> None:
        """Writes the settings; readable by root only, replaced in one step."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        values = dataclasses.asdict(self)
        del values["data_dir"]
        temporary = self.data_dir / ".cluster.json.new"
        temporary.write_text(json.dumps(values, indent=2) + "\n")
        os.replace(temporary, self.data_dir / "cluster.json")


def cluster_name(data_dir: Path) -> str:
    """`skiff` for the default data directory, else a short name of its own, so that two clusters on one
    machine never share an interface, a namespace or a container label. At most 11 characters, because a Linux
    interface name holds 15."""
    if data_dir == DEFAULT_DATA_DIR:
        return "skiff"
    return "skiff-" + hashlib.sha256(str(data_dir).encode()).hexdigest()[:5]


def load(data_dir: Path) -> Settings | None:
    """The settings of the cluster in `data_dir`, or None where there is none.

    Raises UserError when the file is there but cannot be read.
    """
    path = data_dir / "cluster.json"
    try:
        values = json.loads(path.read_text())
        return Settings(data_dir=data_dir, **values)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: run this command as root.") from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); mend it, or remove the cluster with 'skiff down --purge'."
        ) from error


def require(data_dir: Path) -> Settings:
    """As `load`, but a missing cluster is the user's error."""
    settings = load(data_dir)
    if settings is None:
        raise UserError(f"There is no cluster in {data_dir}: bring one up with 'skiff up'.")
    return settings
