"""Validation of the volumes of a pod and of their mounts in its containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .env import VOLUME_FIELD_PATHS, validate_field_ref, validate_resource_field_ref
from .meta import validate_label_selector
from .paths import local_descending_path, local_non_reserved_path, no_backsteps
from .remembered import Remembered
from .resources import amount
from .volume_plugins import REQUIRED_FIELDS, validate_plugin

Source = dict[str, Any]
_valid = Remembered()
_ONE_TYPE = "may not specify more than 1 volume type"
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def validate_volumes(errors: Errors, volumes: list[Source], pod_name: str, path: str) -> dict[str, Source]:
    """Check the volumes of a pod; return the good ones by name. `pod_name` is empty for a template."""
    by_name: dict[str, Source] = {}
    created_claims = {f"{pod_name}-{v.get('name')}" for v in volumes if pod_name and "ephemeral" in v}
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        before = len(errors)
        name = volume.get("name") or ""
        _validate_source(errors, volume, name, pod_name, at)
        if not name:
            errors.append(field.required(f"{at}.name"))
        elif problems := checks.label(name):
            checks.report(errors, f"{at}.name", name, problems)
        if name in by_name:
            errors.append(field.duplicate(f"{at}.name", name))
        if len(errors) == before:
            by_name[name] = volume
        if (
            created_claims
            and (claim := volume.get("persistentVolumeClaim") or {}).get("claimName") in created_claims
        ):
            errors.append(
                field.invalid(
                    f"{at}.persistentVolumeClaim.claimName",
                    claim["claimName"],
                    "must not reference a PVC that gets created for an ephemeral volume",
                )
            )
    return by_name


def _validate_source(errors: Errors, volume: Source, name: str, pod_name: str, path: str) -> None:
    kinds = [kind for kind in volume if kind in _VALIDATORS or kind in REQUIRED_FIELDS]
    if not kinds:
        errors.append(field.required(path, "must specify a volume type"))
        return
    kind = kinds[0]
    key = _valid.key(kind, volume[kind]) if len(kinds) == 1 and kind != "ephemeral" else b""
    if key in _valid:
        return
    before = len(errors)
    validate = _VALIDATORS.get(kind)
    if validate is not None:
        validate(errors, volume[kind], f"{path}.{kind}")
        if kind == "ephemeral" and pod_name and name:
            claim = f"{pod_name}-{name}"
            for problem in checks.subdomain(claim):
                errors.append(field.invalid(f"{path}.name", name, f'PVC name "{claim}": {problem}'))
    else:
        validate_plugin(errors, kind, volume[kind], f"{path}.{kind}")
    for other in kinds[1:]:
        errors.append(field.forbidden(f"{path}.{other}", _ONE_TYPE))
    if key and len(errors) == before:
        _valid.add(key)


def _empty_dir(errors: Errors, source: Source, path: str) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and amount(limit) < 0:
        errors.append(
            field.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")
        )


def _host_path(errors: Errors, source: Source, path: str) -> None:
    value = source.get("path")
    if not value:
        errors.append(field.required(f"{path}.path"))
        return
    no_backsteps(errors, value, f"{path}.path")
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(field.not_supported(f"{path}.type", kind, list(HOST_PATH_TYPES)))


def _keys(name: str) -> Callable[[Errors, Source, str], None]:
    def validate(errors: Errors, source: Source, path: str) -> None:
        if not source.get(name):
            errors.append(field.required(f"{path}.{name}"))
        checks.file_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
        for i, item in enumerate(source.get("items") or ()):
            _key_to_path(errors, item, f"{path}.items[{i}]")

    return validate


def _key_to_path(errors: Errors, item: Source, path: str) -> None:
    if not item.get("key"):
        errors.append(field.required(f"{path}.key"))
    if not item.get("path"):
        errors.append(field.required(f"{path}.path"))
    local_non_reserved_path(errors, item.get("path") or "", f"{path}.path")
    checks.file_mode(errors, f"{path}.mode", item.get("mode"))


def _downward_file(errors: Errors, item: Source, path: str) -> None:
    if not item.get("path"):
        errors.append(field.required(f"{path}.path"))
    local_non_reserved_path(errors, item.get("path") or "", f"{path}.path")
    if item.get("fieldRef") is not None:
        validate_field_ref(errors, item["fieldRef"], VOLUME_FIELD_PATHS, f"{path}.fieldRef")
        if item.get("resourceFieldRef") is not None:
            errors.append(
                field.invalid(
                    path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
                )
            )
    elif item.get("resourceFieldRef") is not None:
        validate_resource_field_ref(errors, item["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True)
    else:
        errors.append(field.required(path, "one of fieldRef and resourceFieldRef is required"))
    checks.file_mode(errors, f"{path}.mode", item.get("mode"))


def _downward_api(errors: Errors, source: Source, path: str) -> None:
    checks.file_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        _downward_file(errors, item, path)


def _claim(errors: Errors, source: Source, path: str) -> None:
    if not source.get("claimName"):
        errors.append(field.required(f"{path}.claimName"))


def _ephemeral(errors: Errors, source: Source, path: str) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.append(field.required(f"{path}.volumeClaimTemplate"))
        return
    spec = template.get("spec") or {}
    at = f"{path}.volumeClaimTemplate.spec"
    if not spec.get("accessModes"):
        errors.append(field.required(f"{at}.accessModes", "at least 1 access mode is required"))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        errors.append(field.required(f"{at}.resources[storage]"))


def _image(errors: Errors, source: Source, path: str) -> None:
    if not source.get("reference"):
        errors.append(field.required(f"{path}.reference"))
    checks.one_of(errors, f"{path}.pullPolicy", source.get("pullPolicy"), ("Always", "IfNotPresent", "Never"))


def _projected(errors: Errors, source: Source, path: str) -> None:
    checks.file_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    paths: set[str] = set()

    def claim_path(value: str, shown: Any) -> None:
        if value and value in paths:
            errors.append(field.invalid(path, shown, "conflicting duplicate paths"))
        paths.add(value)

    for i, projection in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{i}]"
        kinds = 0
        for kind in ("secret", "configMap"):
            if (part := projection.get(kind)) is not None:
                kinds += 1
                name = part.get("name") or ""
                if not name:
                    errors.append(field.required(f"{at}.{kind}.name"))
                for j, item in enumerate(part.get("items") or ()):
                    _key_to_path(errors, item, f"{at}.{kind}.items[{j}]")
                    claim_path(item.get("path") or "", name)
        if (part := projection.get("downwardAPI")) is not None:
            kinds += 1
            for item in part.get("items") or ():
                _downward_file(errors, item, f"{at}.downwardAPI")
                claim_path(item.get("path") or "", item.get("path"))
        if (part := projection.get("serviceAccountToken")) is not None:
            kinds += 1
            _token(errors, part, f"{at}.serviceAccountToken", path)
        if (part := projection.get("clusterTrustBundle")) is not None:
            kinds += 1
            _trust_bundle(errors, part, f"{at}.clusterTrustBundle")
            claim_path(part.get("path") or "", part.get("path"))
        if kinds > 1:
            errors.append(field.forbidden(at, "may not specify more than 1 volume type per source"))


def _token(errors: Errors, token: Source, path: str, volume_path: str) -> None:
    seconds = token.get("expirationSeconds") or 0
    if seconds < 600:
        errors.append(
            field.invalid(
                f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
            )
        )
    if seconds > 1 << 32:
        errors.append(
            field.invalid(
                f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
            )
        )
    if not token.get("path"):
        errors.append(field.required(f"{volume_path}.path"))
    else:
        local_non_reserved_path(errors, token["path"], f"{volume_path}.path")


def _trust_bundle(errors: Errors, bundle: Source, path: str) -> None:
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        errors.append(field.invalid(path, bundle, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(field.required(f"{path}.name", "must be a valid object name"))
        if bundle.get("labelSelector") is not None:
            errors.append(
                field.invalid(
                    f"{path}.labelSelector",
                    bundle["labelSelector"],
                    "labelSelector must be unset if name is specified",
                )
            )
    elif signer is not None:
        if not signer:
            errors.append(field.required(f"{path}.signerName", "must be a valid signer name"))
        validate_label_selector(errors, bundle.get("labelSelector"), f"{path}.labelSelector")
    else:
        errors.append(field.required(path, "either name or signerName must be specified"))
    if not bundle.get("path"):
        errors.append(field.required(f"{path}.path"))
    local_non_reserved_path(errors, bundle.get("path") or "", f"{path}.path")


_VALIDATORS: dict[str, Callable[[Errors, Source, str], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _keys("secretName"),
    "configMap": _keys("name"),
    "downwardAPI": _downward_api,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
}


def validate_mounts(
    errors: Errors,
    mounts: list[Source],
    devices: list[Source],
    volumes: dict[str, Source],
    privileged: bool,
    path: str,
) -> None:
    """Check a container's volumeMounts against the volumes of its pod and against its volumeDevices."""
    seen: set[str] = set()
    for i, mount in enumerate(mounts):
        name, mount_path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(field.required(f"{path}[{i}].name"))
        if name not in volumes:
            errors.append(field.not_found(f"{path}[{i}].name", name))
        if not mount_path:
            errors.append(field.required(f"{path}[{i}].mountPath"))
        if mount_path in seen:
            errors.append(field.invalid(f"{path}[{i}].mountPath", mount_path, "must be unique"))
        seen.add(mount_path)
        if devices:
            if any(d.get("name") == name for d in devices):
                errors.append(
                    field.invalid(f"{path}[{i}].name", name, "must not already exist in volumeDevices")
                )
            if any(d.get("devicePath") == mount_path for d in devices):
                errors.append(
                    field.invalid(
                        f"{path}[{i}].mountPath",
                        mount_path,
                        "must not already exist as a path in volumeDevices",
                    )
                )
        if len(mount) > 2:
            _validate_mount_options(errors, mount, volumes.get(name, {}), privileged, path, i)


def _validate_mount_options(
    errors: Errors, mount: Source, volume: Source, privileged: bool, path: str, i: int
) -> None:
    sub_path, expression = mount.get("subPath"), mount.get("subPathExpr")
    if expression and "image" in volume:
        errors.append(
            field.invalid(f"{path}[{i}].subPathExpr", expression, "not allowed in image volume sources")
        )
    if sub_path:
        local_descending_path(errors, sub_path, f"{path}.subPath")
    if expression:
        if sub_path:
            errors.append(
                field.invalid(
                    f"{path}[{i}].subPathExpr", expression, "subPathExpr and subPath are mutually exclusive"
                )
            )
        local_descending_path(errors, expression, f"{path}.subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        supported = ("Bidirectional", "HostToContainer", "None")
        if propagation not in supported:
            errors.append(field.not_supported(f"{path}.mountPropagation", propagation, list(supported)))
        if propagation == "Bidirectional" and not privileged:
            errors.append(
                field.forbidden(
                    f"{path}.mountPropagation",
                    "Bidirectional mount propagation is available only to privileged containers",
                )
            )
    recursive = mount.get("recursiveReadOnly")
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            errors.append(
                field.forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true")
            )
        if propagation not in (None, "None"):
            errors.append(
                field.forbidden(
                    f"{path}.recursiveReadOnly",
                    "may only be specified when mountPropagation is None or not specified",
                )
            )
    elif recursive not in (None, "Disabled"):
        errors.append(
            field.not_supported(f"{path}.recursiveReadOnly", recursive, ["Disabled", "Enabled", "IfPossible"])
        )


def validate_devices(
    errors: Errors, devices: list[Source], mounts: list[Source], volumes: dict[str, Source], path: str
) -> None:
    """Check a container's volumeDevices (block volumes)."""
    names: set[str] = set()
    paths: set[str] = set()
    for i, device in enumerate(devices):
        at = f"{path}[{i}]"
        name, device_path = device.get("name") or "", device.get("devicePath") or ""
        volume = volumes.get(name)
        if not name:
            errors.append(field.required(f"{at}.name"))
        if name in names:
            errors.append(field.invalid(f"{at}.name", name, "must be unique"))
        if volume is None:
            errors.append(field.not_found(f"{at}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            errors.append(
                field.invalid(
                    f"{at}.name",
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                )
            )
        if not device_path:
            errors.append(field.required(f"{at}.devicePath"))
        if device_path in paths:
            errors.append(field.invalid(f"{at}.devicePath", device_path, "must be unique"))
        if ".." in device_path.split("/"):
            errors.append(field.invalid(f"{at}.devicePath", device_path, "can not contain backsteps ('..')"))
        paths.add(device_path)
        if any(m.get("name") == name for m in mounts):
            errors.append(field.invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if any(m.get("mountPath") == device_path for m in mounts):
            errors.append(
                field.invalid(
                    f"{at}.devicePath", device_path, "must not already exist as a path in volumeMounts"
                )
            )
        names.add(name)
