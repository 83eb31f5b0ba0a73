"""The resource table: every kind the API knows, with its address, names, scope, verbs and subresources.

A new kind is a row here (plus its own rules elsewhere); shared code never asks ``if kind == …``. The table says
what *exists* in the API; the API server decides which rows it serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

CRUD: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CREATE_ONLY: Final = ("create",)
READ_ONLY: Final = ("get", "list")
RW: Final = ("get", "patch", "update")
PROXY: Final = ("create", "delete", "get", "patch", "update")
STREAM: Final = ("create", "get")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource; ``group``/``version``/``kind`` are set when its kind differs from the parent's."""

    name: str
    kind: str
    verbs: tuple[str, ...] = RW
    group: str = ""
    version: str = ""
    definition: str = ""


@dataclass(frozen=True)
class Resource:
    """One resource of the API and how it is addressed."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    subresources: tuple[Subresource, ...]
    definition: str

    def __post_init__(self) -> None:
        group_version = f"{self.group}/{self.version}" if self.group else self.version
        set_ = object.__setattr__
        set_(self, "group_version", group_version)
        set_(self, "api_version", group_version)
        set_(self, "group_resource", f"{self.plural}.{self.group}" if self.group else self.plural)
        set_(self, "root", f"/apis/{group_version}" if self.group else f"/api/{self.version}")

    # Computed once: these are read on every request.
    group_version: str = field(init=False, compare=False)
    api_version: str = field(init=False, compare=False)
    group_resource: str = field(init=False, compare=False)
    root: str = field(init=False, compare=False)

    @property
    def list_definition(self) -> str:
        """Name of the list kind's definition."""
        return self.definition + "List"

    def has_subresource(self, name: str) -> bool:
        """Say whether there is a subresource of this name."""
        return any(s.name == name for s in self.subresources)

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of this name, if any."""
        for sub in self.subresources:
            if sub.name == name:
                return sub
        return None

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path; without ``namespace`` the collection of all namespaces (or of the cluster)."""
        path = self.root
        if self.namespaced and namespace:
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{self.plural}"
        if name:
            path += f"/{quote(name, safe=':')}"
        if subresource:
            path += f"/{subresource}"
        return path

    def __hash__(self) -> int:
        return hash((self.group, self.version, self.plural))


_PACKAGES: Final = {
    "": "core",
    "admissionregistration.k8s.io": "admissionregistration",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
    "certificates.k8s.io": "certificates",
    "coordination.k8s.io": "coordination",
    "discovery.k8s.io": "discovery",
    "events.k8s.io": "events",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
    "networking.k8s.io": "networking",
    "node.k8s.io": "node",
    "rbac.authorization.k8s.io": "rbac",
    "resource.k8s.io": "resource",
    "scheduling.k8s.io": "scheduling",
    "storage.k8s.io": "storage",
}
_DEFINITION_ROOTS: Final = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}

STATUS: Final = "status"
SCALE: Final = "scale"
_SCALE = ("autoscaling", "v1", "Scale", "io.k8s.api.autoscaling.v1.Scale")


def definition_name(group: str, version: str, kind: str) -> str:
    """Name of the official schema definition of a built-in kind."""
    root = _DEFINITION_ROOTS.get(group) or f"io.k8s.api.{_PACKAGES.get(group, group)}"
    return f"{root}.{version}.{kind}"


def _row(
    api_version: str,
    kind: str,
    plural: str,
    *,
    namespaced: bool = True,
    short: str = "",
    categories: str = "",
    verbs: tuple[str, ...] = CRUD,
    subs: tuple[Subresource | str, ...] = (),
) -> Resource:
    group, _, version = api_version.rpartition("/")
    made = []
    for sub in subs:
        if isinstance(sub, Subresource):
            made.append(sub)
        elif sub == SCALE:
            made.append(Subresource(SCALE, _SCALE[2], RW, _SCALE[0], _SCALE[1], _SCALE[3]))
        else:
            made.append(Subresource(sub, kind))
    return Resource(
        group,
        version,
        plural,
        kind.lower(),
        kind,
        f"{kind}List",
        namespaced,
        tuple(short.split()),
        tuple(categories.split()),
        verbs,
        tuple(sorted(made, key=lambda s: s.name)),
        definition_name(group, version, kind),
    )


_EVICTION = Subresource("eviction", "Eviction", CREATE_ONLY, "policy", "v1", "io.k8s.api.policy.v1.Eviction")
_TOKEN = Subresource(
    "token",
    "TokenRequest",
    CREATE_ONLY,
    "authentication.k8s.io",
    "v1",
    "io.k8s.api.authentication.v1.TokenRequest",
)

PODS = _row(
    "v1", "Pod", "pods", short="po", categories="all",
    subs=(
        STATUS,
        Subresource("attach", "PodAttachOptions", STREAM),
        Subresource("binding", "Binding", CREATE_ONLY, definition="io.k8s.api.core.v1.Binding"),
        Subresource("ephemeralcontainers", "Pod"),
        _EVICTION,
        Subresource("exec", "PodExecOptions", STREAM),
        Subresource("log", "Pod", ("get",)),
        Subresource("portforward", "PodPortForwardOptions", STREAM),
        Subresource("proxy", "PodProxyOptions", PROXY),
        Subresource("resize", "Pod"),
    ),
)  # fmt: skip
SERVICES = _row(
    "v1", "Service", "services", short="svc", categories="all",
    subs=(STATUS, Subresource("proxy", "ServiceProxyOptions", PROXY)),
)  # fmt: skip
ENDPOINTS = _row("v1", "Endpoints", "endpoints", short="ep")
NAMESPACES = _row(
    "v1", "Namespace", "namespaces", namespaced=False, short="ns",
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subs=(STATUS, Subresource("finalize", "Namespace", ("update",))),
)  # fmt: skip
NODES = _row(
    "v1", "Node", "nodes", namespaced=False, short="no",
    subs=(STATUS, Subresource("proxy", "NodeProxyOptions", PROXY)),
)  # fmt: skip
CONFIG_MAPS = _row("v1", "ConfigMap", "configmaps", short="cm")
SECRETS = _row("v1", "Secret", "secrets")
SERVICE_ACCOUNTS = _row("v1", "ServiceAccount", "serviceaccounts", short="sa", subs=(_TOKEN,))
EVENTS = _row("v1", "Event", "events", short="ev")
BINDINGS = _row("v1", "Binding", "bindings", verbs=CREATE_ONLY)
COMPONENT_STATUSES = _row(
    "v1", "ComponentStatus", "componentstatuses", namespaced=False, short="cs", verbs=READ_ONLY
)
REPLICATION_CONTROLLERS = _row(
    "v1", "ReplicationController", "replicationcontrollers", short="rc", categories="all",
    subs=(STATUS, SCALE),
)  # fmt: skip
PERSISTENT_VOLUMES = _row(
    "v1", "PersistentVolume", "persistentvolumes", namespaced=False, short="pv", subs=(STATUS,)
)
PERSISTENT_VOLUME_CLAIMS = _row(
    "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short="pvc", subs=(STATUS,)
)
LIMIT_RANGES = _row("v1", "LimitRange", "limitranges", short="limits")
RESOURCE_QUOTAS = _row("v1", "ResourceQuota", "resourcequotas", short="quota", subs=(STATUS,))
POD_TEMPLATES = _row("v1", "PodTemplate", "podtemplates")

DEPLOYMENTS = _row(
    "apps/v1", "Deployment", "deployments", short="deploy", categories="all", subs=(STATUS, SCALE)
)
REPLICA_SETS = _row(
    "apps/v1", "ReplicaSet", "replicasets", short="rs", categories="all", subs=(STATUS, SCALE)
)
STATEFUL_SETS = _row(
    "apps/v1", "StatefulSet", "statefulsets", short="sts", categories="all", subs=(STATUS, SCALE)
)
DAEMON_SETS = _row("apps/v1", "DaemonSet", "daemonsets", short="ds", categories="all", subs=(STATUS,))
CONTROLLER_REVISIONS = _row("apps/v1", "ControllerRevision", "controllerrevisions")

JOBS = _row("batch/v1", "Job", "jobs", categories="all", subs=(STATUS,))
CRON_JOBS = _row("batch/v1", "CronJob", "cronjobs", short="cj", categories="all", subs=(STATUS,))

HORIZONTAL_POD_AUTOSCALERS_V1 = _row(
    "autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
    short="hpa", categories="all", subs=(STATUS,),
)  # fmt: skip
HORIZONTAL_POD_AUTOSCALERS = _row(
    "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
    short="hpa", categories="all", subs=(STATUS,),
)  # fmt: skip

ENDPOINT_SLICES = _row("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
LEASES = _row("coordination.k8s.io/v1", "Lease", "leases")
EVENTS_V1 = _row("events.k8s.io/v1", "Event", "events", short="ev")

INGRESSES = _row("networking.k8s.io/v1", "Ingress", "ingresses", short="ing", subs=(STATUS,))
INGRESS_CLASSES = _row("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False)
NETWORK_POLICIES = _row("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", short="netpol")
IP_ADDRESSES = _row("networking.k8s.io/v1", "IPAddress", "ipaddresses", namespaced=False, short="ip")
SERVICE_CIDRS = _row("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", namespaced=False, subs=(STATUS,))

POD_DISRUPTION_BUDGETS = _row(
    "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", short="pdb", subs=(STATUS,)
)

ROLES = _row("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = _row("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLES = _row("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = _row(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)

STORAGE_CLASSES = _row("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False, short="sc")
VOLUME_ATTACHMENTS = _row(
    "storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", namespaced=False, subs=(STATUS,)
)
CSI_DRIVERS = _row("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False)
CSI_NODES = _row("storage.k8s.io/v1", "CSINode", "csinodes", namespaced=False)
CSI_STORAGE_CAPACITIES = _row("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities")
VOLUME_ATTRIBUTES_CLASSES = _row(
    "storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", namespaced=False, short="vac"
)

PRIORITY_CLASSES = _row(
    "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False, short="pc"
)
RUNTIME_CLASSES = _row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", namespaced=False)

TOKEN_REVIEWS = _row(
    "authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False, verbs=CREATE_ONLY
)
SELF_SUBJECT_REVIEWS = _row(
    "authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False,
    verbs=CREATE_ONLY,
)  # fmt: skip
SUBJECT_ACCESS_REVIEWS = _row(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False,
    verbs=CREATE_ONLY,
)  # fmt: skip
SELF_SUBJECT_ACCESS_REVIEWS = _row(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False,
    verbs=CREATE_ONLY,
)  # fmt: skip
SELF_SUBJECT_RULES_REVIEWS = _row(
    "authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False,
    verbs=CREATE_ONLY,
)  # fmt: skip
LOCAL_SUBJECT_ACCESS_REVIEWS = _row(
    "authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=CREATE_ONLY
)

CERTIFICATE_SIGNING_REQUESTS = _row(
    "certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False,
    short="csr", subs=(STATUS, "approval"),
)  # fmt: skip

MUTATING_WEBHOOK_CONFIGURATIONS = _row(
    "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
    namespaced=False, categories="api-extensions",
)  # fmt: skip
VALIDATING_WEBHOOK_CONFIGURATIONS = _row(
    "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
    namespaced=False, categories="api-extensions",
)  # fmt: skip
VALIDATING_ADMISSION_POLICIES = _row(
    "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies",
    namespaced=False, categories="api-extensions", subs=(STATUS,),
)  # fmt: skip
VALIDATING_ADMISSION_POLICY_BINDINGS = _row(
    "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings", namespaced=False, categories="api-extensions",
)  # fmt: skip
MUTATING_ADMISSION_POLICIES = _row(
    "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies",
    namespaced=False, categories="api-extensions",
)  # fmt: skip
MUTATING_ADMISSION_POLICY_BINDINGS = _row(
    "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings",
    namespaced=False, categories="api-extensions",
)  # fmt: skip

CUSTOM_RESOURCE_DEFINITIONS = _row(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
    short="crd crds", categories="api-extensions", subs=(STATUS,),
)  # fmt: skip
API_SERVICES = _row(
    "apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False,
    categories="api-extensions", subs=(STATUS,),
)  # fmt: skip

FLOW_SCHEMAS = _row(
    "flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", namespaced=False, subs=(STATUS,)
)
PRIORITY_LEVEL_CONFIGURATIONS = _row(
    "flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
    namespaced=False, subs=(STATUS,),
)  # fmt: skip

DEVICE_CLASSES = _row("resource.k8s.io/v1", "DeviceClass", "deviceclasses", namespaced=False)
RESOURCE_CLAIMS = _row("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", subs=(STATUS,))
RESOURCE_CLAIM_TEMPLATES = _row("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates")
RESOURCE_SLICES = _row("resource.k8s.io/v1", "ResourceSlice", "resourceslices", namespaced=False)

ALL: Final[tuple[Resource, ...]] = tuple(row for row in list(globals().values()) if isinstance(row, Resource))

_BY_KIND = {(r.api_version, r.kind): r for r in ALL}
_BY_PATH = {(r.group, r.version, r.plural): r for r in ALL}


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of ``apps/v1`` and ``Deployment``, if the table has it."""
    return _BY_KIND.get((api_version, kind))


def by_path(group: str, version: str, plural: str) -> Resource | None:
    """The resource of ``apps``, ``v1`` and ``deployments``, if the table has it."""
    return _BY_PATH.get((group, version, plural))
