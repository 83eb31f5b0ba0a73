"""The version that this server says it has."""

from __future__ import annotations

import platform
import sys

GIT_VERSION = "v1.36.0"
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def info() -> dict[str, str]:
    """What /version answers."""
    major, minor, _ = GIT_VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{_ARCH.get(platform.machine(), platform.machine())}",
    }
