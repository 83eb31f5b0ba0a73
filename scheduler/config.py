"""KubeSchedulerConfiguration, kubescheduler.config.k8s.io/v1.

Field names, defaults and meaning: https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/.
Unknown fields are errors, as in the original's strict decoding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

API_VERSION = "kubescheduler.config.k8s.io/v1"
DEFAULT_NAME = "default-scheduler"


class ConfigError(ValueError):
    """The configuration file cannot be used; the message says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PluginEntry(_Strict):
    """A plugin's name and, where it scores, its weight."""

    name: str
    weight: Annotated[int, Field(ge=0)] = 0


class PluginSet(_Strict):
    """What a profile adds to and takes from an extension point; `*` disables all."""

    enabled: list[PluginEntry] = []
    disabled: list[PluginEntry] = []


class Plugins(_Strict):
    """The extension points; `multiPoint` stands for all of them."""

    preEnqueue: PluginSet = PluginSet()
    queueSort: PluginSet = PluginSet()
    preFilter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    postFilter: PluginSet = PluginSet()
    preScore: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    preBind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    postBind: PluginSet = PluginSet()
    multiPoint: PluginSet = PluginSet()


class PluginConfig(_Strict):
    """Arguments of one plugin."""

    name: str
    args: dict[str, Any] = {}


class ProfileConfiguration(_Strict):
    """One scheduler name and its plugins."""

    schedulerName: str = DEFAULT_NAME
    percentageOfNodesToScore: Annotated[int, Field(ge=0, le=100)] | None = None
    plugins: Plugins = Plugins()
    pluginConfig: list[PluginConfig] = []


class LeaderElection(_Strict):
    """Durations are in Go's form, `15s`."""

    leaderElect: bool = True
    leaseDuration: str = "15s"
    renewDeadline: str = "10s"
    retryPeriod: str = "2s"
    resourceLock: str = "leases"
    resourceName: str = "kube-scheduler"
    resourceNamespace: str = "kube-system"


class ClientConnection(_Strict):
    """How to reach the API server; qps and burst are accepted and not applied: the server protects itself."""

    kubeconfig: str = ""
    acceptContentTypes: str = ""
    contentType: str = ""
    qps: float = 50
    burst: int = 100


class KubeSchedulerConfiguration(_Strict):
    """The whole file."""

    apiVersion: Literal["kubescheduler.config.k8s.io/v1"] = "kubescheduler.config.k8s.io/v1"
    kind: Literal["KubeSchedulerConfiguration"] = "KubeSchedulerConfiguration"
    parallelism: Annotated[int, Field(gt=0)] = 16
    leaderElection: LeaderElection = LeaderElection()
    clientConnection: ClientConnection = ClientConnection()
    enableProfiling: bool = True
    enableContentionProfiling: bool = True
    percentageOfNodesToScore: Annotated[int, Field(ge=0, le=100)] | None = None
    podInitialBackoffSeconds: Annotated[int, Field(gt=0)] = 1
    podMaxBackoffSeconds: Annotated[int, Field(gt=0)] = 10
    profiles: list[ProfileConfiguration] = [ProfileConfiguration()]
    delayCacheUntilActive: bool = False

    @field_validator("profiles")
    @classmethod
    def _names_differ(cls, profiles: list[ProfileConfiguration]) -> list[ProfileConfiguration]:
        names = [profile.schedulerName for profile in profiles]
        if not profiles:
            raise ValueError("at least one profile is required")
        if len(set(names)) != len(names):
            raise ValueError("schedulerName of the profiles must differ")
        return profiles

    @model_validator(mode="after")
    def _backoff_grows(self) -> KubeSchedulerConfiguration:
        if self.podMaxBackoffSeconds < self.podInitialBackoffSeconds:
            raise ValueError("podMaxBackoffSeconds must be greater than or equal to podInitialBackoffSeconds")
        return self


def load(path: str | None) -> KubeSchedulerConfiguration:
    """The configuration in a YAML or JSON file; the defaults without one. Raises ConfigError."""
    if path is None:
        return KubeSchedulerConfiguration()
    try:
        document = yaml.safe_load(Path(path).read_text())
        return KubeSchedulerConfiguration.model_validate(document or {})
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {faults}") from error


def seconds(duration: str) -> float:
    """A duration in Go's form (`1m30s`, `500ms`) in seconds. Raises ConfigError."""
    total, number = 0.0, ""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    rest = duration
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        unit = rest[:2] if rest.startswith("ms") else rest[:1]
        if not number or unit not in units:
            raise ConfigError(f"invalid duration {duration!r}")
        total += float(number) * units[unit]
        rest = rest[len(unit) :]
    return total
