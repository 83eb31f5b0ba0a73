"""What processes find inside their containers: commands, environment, identity, limits, names."""

from __future__ import annotations

from tests.harness.cluster import eventually, fetch
from tests.harness.pods import (
    BUSYBOX,
    Object,
    Pods,
    config_map,
    container,
    first,
    pod,
    secret,
)


def test_commands_and_environment(pods: Pods) -> None:
    def value(name: str, source: Object) -> Object:
        return {"name": name, "valueFrom": source}

    env = [
        {"name": "WORD", "value": "meow"},
        {"name": "TWICE", "value": "$(WORD)-$(WORD)"},
        {"name": "ESCAPED", "value": "$$(WORD)"},
        {"name": "UNKNOWN", "value": "$(NOBODY)"},
        value("FROM_MAP", {"configMapKeyRef": {"name": "settings", "key": "color"}}),
        value("FROM_SECRET", {"secretKeyRef": {"name": "hidden", "key": "token"}}),
        value("ABSENT", {"configMapKeyRef": {"name": "nobody", "key": "k", "optional": True}}),
        value("NODE", {"fieldRef": {"fieldPath": "spec.nodeName"}}),
        value("NAME", {"fieldRef": {"fieldPath": "metadata.name"}}),
        value("LABEL", {"fieldRef": {"fieldPath": "metadata.labels['test']"}}),
        value("POD_IP", {"fieldRef": {"fieldPath": "status.podIP"}}),
        value("ACCOUNT", {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}),
        value("CPU", {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}),
        value("MEMORY", {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}),
    ]
    resources = {"limits": {"cpu": "250m"}, "requests": {"memory": "32Mi"}}
    prefixed = [{"prefix": "SET_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "hidden"}}]

    def broken(source: str, reference: Object) -> Object:
        return container("exit 0", env=[value("X", {source: reference})])

    pods.create(
        config_map("settings", {"color": "red", "size": "big"}),
        secret("hidden", {"token": "tuna"}),
        pod("env", container("env", env=env, envFrom=prefixed, resources=resources)),
        pod("command", {"name": "main", "image": BUSYBOX, "command": ["echo", "$(A)"], "args": ["b", "$$(A)"],
                        "env": [{"name": "A", "value": "a"}]}),
        pod("arguments", {"name": "main", "image": BUSYBOX, "args": ["echo", "instead of the command"]}),
        pod("entrypoint", {"name": "main", "image": "hashicorp/http-echo:1.0",
                           "args": ["-listen=:4000", "-text=args"]}),
        pod("workdir", container("pwd", workingDir="/var")),
        pod("no-map", broken("configMapKeyRef", {"name": "nope", "key": "k"})),
        pod("no-key", broken("configMapKeyRef", {"name": "settings", "key": "nope"})),
        pod("no-secret", container("exit 0", envFrom=[{"secretRef": {"name": "nope"}}])),
        pod("no-secret-key", broken("secretKeyRef", {"name": "hidden", "key": "nope"})),
        pod("no-program", {"name": "main", "image": BUSYBOX, "command": ["/no/such/program"]}),
    )  # fmt: skip
    found = pods.phase("env", "Succeeded")
    lines = dict(line.split("=", 1) for line in pods.logs("env").splitlines() if "=" in line)
    expected = {
        "WORD": "meow", "TWICE": "meow-meow", "ESCAPED": "$(WORD)", "UNKNOWN": "$(NOBODY)", "FROM_MAP": "red",
        "FROM_SECRET": "tuna", "NODE": found["spec"]["nodeName"], "NAME": "env", "LABEL": "env",
        "POD_IP": found["status"]["podIP"], "ACCOUNT": "default", "CPU": "250", "MEMORY": "32",
        "SET_color": "red", "SET_size": "big", "token": "tuna", "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443", "HOSTNAME": "env",
    }  # fmt: skip
    assert {key: lines.get(key) for key in expected} == expected
    assert "ABSENT" not in lines

    pods.phase("command", "Succeeded")
    assert pods.logs("command") == "a b $(A)\n"
    pods.phase("arguments", "Succeeded")
    assert pods.logs("arguments") == "instead of the command\n"
    pods.phase("workdir", "Succeeded")
    assert pods.logs("workdir") == "/var\n"
    address = pods.phase("entrypoint", "Running")["status"]["podIP"]
    assert eventually(lambda: answer(f"http://{address}:4000/")) == "args\n"

    for name, message in {
        "no-map": 'configmap "nope" not found',
        "no-key": f"couldn't find key nope in ConfigMap {pods.namespace}/settings",
        "no-secret": 'secret "nope" not found',
        "no-secret-key": f"couldn't find key nope in Secret {pods.namespace}/hidden",
    }.items():
        assert pods.waiting(name, "CreateContainerConfigError") == message
        pods.event(name, "Warning", "Failed", f"Error: {message}")
    refused = pods.phase("no-program", "Failed")
    ended = first(refused)["state"]["terminated"]
    assert ended["reason"] == "ContainerCannotRun" or ended["reason"] == "StartError"
    assert ended["exitCode"] in (127, 128)
    assert "/no/such/program" in ended["message"]

    # What was missing arrives: the pod goes on without being made again.
    pods.create(config_map("nope", {"k": "v"}))
    pods.phase("no-map", "Succeeded")


def answer(url: str) -> str:
    try:
        return fetch(url)
    except OSError:
        return ""


def test_security_context(pods: Pods) -> None:
    show = "id -u; id -g; id -G; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status"
    write = "touch /file 2>&1 || echo refused; touch /data/file && stat -c %g /data/file"
    data = {"volumes": [{"name": "data", "emptyDir": {}}]}
    mount = [{"name": "data", "mountPath": "/data"}]
    pods.create(
        pod("user", container(show, securityContext={"allowPrivilegeEscalation": False, "runAsGroup": 3000}),
            securityContext={"runAsUser": 1000, "runAsGroup": 2000, "supplementalGroups": [4000], "fsGroup": 5000}),
        pod("root-refused", container("id"), securityContext={"runAsNonRoot": True}),
        pod("zero-refused", container("id"), securityContext={"runAsNonRoot": True, "runAsUser": 0}),
        pod("read-only", container(write, volumeMounts=mount, securityContext={"readOnlyRootFilesystem": True}),
            securityContext={"runAsUser": 1000, "fsGroup": 5000}, **data),
        pod("bare", container(show, securityContext={"capabilities": {"drop": ["ALL"]}})),
        pod("chosen", container(show, securityContext={"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}})),
    )  # fmt: skip
    for name in ("user", "read-only", "bare", "chosen"):
        pods.phase(name, "Succeeded")
    lines = pods.logs("user").splitlines()
    assert lines[:2] == ["1000", "3000"]
    assert set(lines[2].split()) == {"3000", "4000", "5000"}
    assert "NoNewPrivs:\t1" in lines
    lines = pods.logs("read-only").splitlines()
    assert lines == ["touch: /file: Read-only file system", "refused", "5000"]
    assert "CapEff:\t0000000000000000" in pods.logs("bare")
    assert "CapEff:\t0000000000000001" in pods.logs("chosen")
    refused = pods.waiting("root-refused", "CreateContainerConfigError")
    pod_name = f'"root-refused_{pods.namespace}({pods.get("root-refused")["metadata"]["uid"]})"'
    assert refused == (
        f"container has runAsNonRoot and image will run as root (pod: {pod_name}, container: main)"
    )
    assert pods.waiting("zero-refused", "CreateContainerConfigError").startswith(
        "container's runAsUser breaks non-root policy"
    )


def test_resources(pods: Pods) -> None:
    memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    cpu = (
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max; "
        "cat /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || cut -d' ' -f2 /sys/fs/cgroup/cpu.max"
    )
    limits = {"cpu": "500m", "memory": "64Mi"}
    hungry = container(resources={"limits": {"memory": "16Mi"}}, command=["tail", "/dev/zero"])
    pods.create(
        pod("limited", container(f"{memory}; {cpu}", resources={"limits": limits})),
        pod("hungry", hungry),
        pod("burstable", container("exit 0", resources={"requests": {"cpu": "10m"}})),
        pod("effortless", container("exit 0")),
    )
    limited = pods.phase("limited", "Succeeded")
    assert pods.logs("limited").split() == [str(64 * 2**20), "50000", "100000"]
    assert limited["status"]["qosClass"] == "Guaranteed"
    assert limited["spec"]["containers"][0]["resources"]["requests"] == limits
    assert pods.phase("burstable")["status"]["qosClass"] == "Burstable"
    assert pods.phase("effortless")["status"]["qosClass"] == "BestEffort"
    ended = first(pods.phase("hungry", "Failed"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert pods.status_column("hungry") == "OOMKilled"


def test_names_and_networks(pods: Pods) -> None:
    show = "hostname; hostname -f; cat /etc/hosts"
    aliases = [{"ip": "192.0.2.7", "hostnames": ["cat", "cat.example"]}]
    service: Object = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "inner"},
        "spec": {"clusterIP": "None", "selector": {"test": "named"}},
    }  # fmt: skip
    pods.create(
        service,
        pod("plain", container(show)),
        pod("named", container(show), hostname="box", subdomain="inner", hostAliases=aliases),
        pod("host", container("hostname; ip -o link | grep -c . ; cat /etc/hosts"), hostNetwork=True,
            nodeName="node-1"),
        pod("shared", container("ps -o args | grep -c pause", "one"), container("sleep 2", "two"),
            shareProcessNamespace=True),
    )  # fmt: skip
    plain = pods.phase("plain", "Succeeded")
    lines = pods.logs("plain").splitlines()
    assert lines[0] == "plain"
    assert "# Kubernetes-managed hosts file." in lines
    assert any(line.split() == [plain["status"]["podIP"], "plain"] for line in lines)
    named = pods.phase("named", "Succeeded")
    lines = pods.logs("named").splitlines()
    full = f"box.inner.{pods.namespace}.svc.cluster.local"
    assert lines[:2] == ["box", full]
    assert any(line.split() == [named["status"]["podIP"], full, "box"] for line in lines)
    assert any(line.split() == ["192.0.2.7", "cat", "cat.example"] for line in lines)
    assert "# Entries added by HostAliases." in lines
    host = pods.phase("host", "Succeeded")
    assert host["status"]["podIP"] == host["status"]["hostIP"]
    assert "# Kubernetes-managed hosts file (host network)." in pods.logs("host")
    pods.phase("shared", "Succeeded")
    assert int(pods.logs("shared", "-c", "one")) >= 1
