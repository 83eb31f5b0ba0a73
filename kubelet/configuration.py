"""KubeletConfiguration, in the official format.

https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ . Fields that Skiff's kubelet acts on are
declared; others are accepted and kept out of the way, as files written for the original must work.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

_DURATION = re.compile(r"([0-9.]+)(ms|us|ns|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def parse_duration(value: object) -> object:
    """Seconds from a Go duration (1h2m3s); numbers and anything else are passed on to validation."""
    if not isinstance(value, str):
        return value
    parts = _DURATION.findall(value)
    if value != "0" and "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"{value!r} is not a duration")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class ConfigurationError(Exception):
    """The configuration file cannot be used."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Anonymous(_Model):
    enabled: bool = False


class Webhook(_Model):
    enabled: bool = True


class X509(_Model):
    clientCAFile: str = ""


class Authentication(_Model):
    anonymous: Anonymous = Anonymous()
    webhook: Webhook = Webhook()
    x509: X509 = X509()


class Authorization(_Model):
    mode: Literal["Webhook", "AlwaysAllow"] = "Webhook"


class KubeletConfiguration(_Model):
    """Durations are in seconds."""

    apiVersion: Literal["kubelet.config.k8s.io/v1beta1"] = "kubelet.config.k8s.io/v1beta1"
    kind: Literal["KubeletConfiguration"] = "KubeletConfiguration"
    address: str = "0.0.0.0"
    port: int = 10250
    tlsCertFile: str = ""
    tlsPrivateKeyFile: str = ""
    authentication: Authentication = Authentication()
    authorization: Authorization = Authorization()
    clusterDomain: str = "cluster.local"
    clusterDNS: list[str] = Field(default_factory=list)
    cgroupDriver: str = "cgroupfs"
    healthzBindAddress: str = "127.0.0.1"
    healthzPort: int = 10248
    maxPods: int = 110
    nodeStatusUpdateFrequency: float = 10.0
    nodeStatusReportFrequency: float = 300.0
    nodeLeaseDurationSeconds: int = 40
    resolvConf: str = "/etc/resolv.conf"
    registerWithTaints: list[dict[str, str]] = Field(default_factory=list)
    systemReserved: dict[str, str] = Field(default_factory=dict)
    kubeReserved: dict[str, str] = Field(default_factory=dict)
    evictionHard: dict[str, str] = Field(
        default_factory=lambda: {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
        }
    )
    containerLogMaxSize: str = "10Mi"
    containerLogMaxFiles: int = 5
    seccompDefault: bool = False

    @field_validator("nodeStatusUpdateFrequency", "nodeStatusReportFrequency", mode="before")
    @classmethod
    def _durations(cls, value: object) -> object:
        return parse_duration(value)

    @staticmethod
    def load(path: Path | None) -> KubeletConfiguration:
        """Read a file; defaults without one. Raises ConfigurationError."""
        if path is None:
            return KubeletConfiguration()
        try:
            document = (
                yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
            )
            return KubeletConfiguration.model_validate(document)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path} is not YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{path}: {field}: {first['msg']}") from error
