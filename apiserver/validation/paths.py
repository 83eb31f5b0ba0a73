"""Validation of file paths that a pod names inside a volume or a container."""

from __future__ import annotations

from apimachinery import field

from .checks import Errors


def no_backsteps(errors: Errors, value: str, path: str) -> None:
    """Check that a path has no `..` in it."""
    if ".." in value and ".." in value.split("/"):
        errors.append(field.invalid(path, value, "must not contain '..'"))


def local_descending_path(errors: Errors, value: str, path: str) -> None:
    """Check that a path is relative and does not lead upwards."""
    if value.startswith("/"):
        errors.append(field.invalid(path, value, "must be a relative path"))
    no_backsteps(errors, value, path)


def local_non_reserved_path(errors: Errors, value: str, path: str) -> None:
    """Check that a path is relative, does not lead upwards and does not start with `..`."""
    local_descending_path(errors, value, path)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(field.invalid(path, value, "must not start with '..'"))
