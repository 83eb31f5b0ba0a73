"""Validation of the volume sources that belong to storage systems: mostly which fields they cannot do without."""

from __future__ import annotations

from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .paths import local_descending_path

# Volume source → the fields that must not be empty.
REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "csi": ("driver",),
    "fc": (),
    "flexVolume": ("driver",),
    "flocker": (),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "storageos": ("volumeName",),
    "vsphereVolume": ("volumePath",),
}
_LUN_RANGE = "must be between 0 and 255, inclusive"
_PARTITION_RANGE = "must be between 1 and 255, inclusive"


def validate_plugin(errors: Errors, kind: str, source: dict[str, Any], path: str) -> None:
    """Check a volume source of one of the storage systems."""
    for name in REQUIRED_FIELDS[kind]:
        if not source.get(name):
            errors.append(field.required(f"{path}.{name}"))
    if kind == "nfs":
        if not (source.get("path") or "").startswith("/"):
            errors.append(field.invalid(f"{path}.path", source.get("path") or "", "must be an absolute path"))
    elif kind == "csi":
        driver = source.get("driver")
        if driver and (len(driver) > 63 or (problems := checks.subdomain(driver.lower()))):
            if len(driver) > 63:
                errors.append(field.too_long(f"{path}.driver", driver, 63))
            else:
                checks.report(errors, f"{path}.driver", driver, problems)
        secret = source.get("nodePublishSecretRef")
        if secret is not None and not secret.get("name"):
            errors.append(field.required(f"{path}.nodePublishSecretRef.name"))
    elif kind in ("gcePersistentDisk", "awsElasticBlockStore"):
        partition = source.get("partition") or 0
        if not 0 <= partition <= 255:
            errors.append(field.invalid(f"{path}.partition", partition, _PARTITION_RANGE))
    elif kind == "gitRepo":
        local_descending_path(errors, source.get("directory") or "", f"{path}.directory")
    elif kind == "iscsi":
        _iscsi(errors, source, path)
    elif kind == "fc":
        _fibre_channel(errors, source, path)
    elif kind == "flexVolume":
        for key in source.get("options") or ():
            owner = "." + key.partition("/")[0].lower() if "/" in key else "." + key.lower()
            if owner.endswith((".kubernetes.io", ".k8s.io")):
                errors.append(
                    field.invalid(
                        f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved"
                    )
                )


def _iscsi(errors: Errors, source: dict[str, Any], path: str) -> None:
    iqn = source.get("iqn")
    if iqn and not iqn.startswith(("iqn", "eui", "naa")):
        errors.append(
            field.invalid(f"{path}.iqn", iqn, "must be valid format starting with iqn, eui, or naa")
        )
    if not 0 <= (source.get("lun") or 0) <= 255:
        errors.append(field.invalid(f"{path}.lun", source.get("lun"), _LUN_RANGE))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(field.required(f"{path}.secretRef"))


def _fibre_channel(errors: Errors, source: dict[str, Any], path: str) -> None:
    targets, wwids = source.get("targetWWNs"), source.get("wwids")
    if not targets and not wwids:
        errors.append(
            field.required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
        )
    if targets and wwids:
        errors.append(
            field.invalid(
                f"{path}.targetWWNs", targets, "targetWWNs and wwids can not be specified simultaneously"
            )
        )
    if targets:
        lun = source.get("lun")
        if lun is None:
            errors.append(field.required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(field.invalid(f"{path}.lun", lun, _LUN_RANGE))
