"""The files by which a pod resolves names: /etc/hosts and /etc/resolv.conf; pure.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ and
https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apimachinery import Object

MANAGED = "# Kubernetes-managed hosts file.\n"
MANAGED_HOST = "# Kubernetes-managed hosts file (host network).\n"
LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)
MAX_NAMESERVERS, MAX_SEARCHES = 3, 32
MAX_HOSTNAME = 63


@dataclass(frozen=True)
class Resolver:
    """The three parts of a resolv.conf."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def render(self) -> str:
        lines = []
        if self.searches:
            lines.append("search " + " ".join(self.searches))
        lines += [f"nameserver {server}" for server in self.nameservers]
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(line + "\n" for line in lines)


def parse_resolver(text: str) -> Resolver:
    """A resolv.conf; the last search line counts."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            options += words[1:]
    return Resolver(tuple(servers), tuple(searches), tuple(options))


def hostname(pod: Object) -> str:
    """The pod's host name: spec.hostname or the name, at most 63 characters."""
    name = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(name)[:MAX_HOSTNAME].rstrip("-.")


def domain(pod: Object, cluster_domain: str) -> str:
    """`subdomain.namespace.svc.cluster-domain`, or nothing without a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}" if subdomain else ""


def sandbox_hostname(pod: Object, cluster_domain: str) -> str:
    """What `hostname` prints inside the pod."""
    name, suffix = hostname(pod), domain(pod, cluster_domain)
    if pod["spec"].get("hostnameOverride"):
        return str(pod["spec"]["hostnameOverride"])
    return f"{name}.{suffix}" if suffix and pod["spec"].get("setHostnameAsFQDN") else name


def hosts_file(pod: Object, pod_ips: Sequence[str], cluster_domain: str, node_hosts: str) -> str:
    """The managed /etc/hosts; a host-network pod sees the node's with the pod's aliases."""
    if pod["spec"].get("hostNetwork"):
        text = MANAGED_HOST + node_hosts
    else:
        name, suffix = hostname(pod), domain(pod, cluster_domain)
        names = f"{name}.{suffix}\t{name}" if suffix else name
        text = MANAGED + LOCAL + "".join(f"{ip}\t{names}\n" for ip in pod_ips)
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(
            f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) + "\n" for alias in aliases
        )
    return text


def resolver(pod: Object, node: Resolver, cluster_dns: Sequence[str], cluster_domain: str) -> Resolver:
    """The pod's resolv.conf after dnsPolicy and dnsConfig."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy == "None":
        base = Resolver()
    elif policy in ("ClusterFirst", "ClusterFirstWithHostNet") and cluster_dns:
        own = (
            f"{pod['metadata']['namespace']}.svc.{cluster_domain}",
            f"svc.{cluster_domain}",
            cluster_domain,
        )
        base = Resolver(tuple(cluster_dns), (*own, *node.searches), ("ndots:5",))
    else:
        base = node
    return _customized(base, spec.get("dnsConfig") or {})


def _customized(base: Resolver, config: Object) -> Resolver:
    servers = [*base.nameservers, *(config.get("nameservers") or ())]
    searches = [*base.searches, *(config.get("searches") or ())]
    options = dict.fromkeys(base.options)
    for option in config.get("options") or ():
        name, value = option.get("name", ""), option.get("value")
        for known in [known for known in options if known.partition(":")[0] == name]:
            del options[known]
        options[f"{name}:{value}" if value else name] = None
    return Resolver(
        tuple(dict.fromkeys(servers))[:MAX_NAMESERVERS],
        tuple(dict.fromkeys(searches))[:MAX_SEARCHES],
        tuple(options),
    )
