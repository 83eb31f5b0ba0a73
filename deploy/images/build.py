"""Brings images to the engine: present already, else pulled, else built from busybox.

Run as `python -m deploy.images.build [--tests] [--no-pull]`.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import docker
import docker.errors

from deploy.images.catalogue import SYSTEM_IMAGES, TEST_IMAGES, Image

PULL_TIMEOUT = 20
MIRRORS_UNREACHABLE = (docker.errors.APIError, docker.errors.DockerException, OSError)


class BusyboxMissing(RuntimeError):
    """No static busybox on this machine: install the package busybox-static."""


def find_busybox() -> Path:
    """The machine's busybox; it must be the static one, because the image holds nothing else."""
    for candidate in ("/bin/busybox", "/usr/bin/busybox", shutil.which("busybox")):
        if candidate and Path(candidate).exists() and b"ld-linux" not in Path(candidate).read_bytes()[:4096]:
            return Path(candidate)
    raise BusyboxMissing("no static busybox was found: install the package busybox-static")


def applets(busybox: Path) -> list[str]:
    """Names of the programs that this busybox plays."""
    done = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name != "busybox"]


def root_filesystem(image: Image, busybox: bytes, names: Iterable[str]) -> bytes:
    """The image's root file system as a tar archive: busybox, its applets as links, the image's own files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory, mode in (
            ("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("home", 0o755),
            ("var", 0o755), ("usr", 0o755), ("usr/bin", 0o755), ("dev", 0o755), ("proc", 0o555), ("sys", 0o555),
        ):  # fmt: skip
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        _add(archive, "bin/busybox", 0o755, busybox)
        for name in names:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname, entry.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
            archive.addfile(entry)
        _add(
            archive,
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        )
        _add(archive, "etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")
        for path, (mode, text) in image.files.items():
            _add(archive, path, mode, text.encode())
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, mode: int, data: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode, entry.size = mode, len(data)
    archive.addfile(entry, io.BytesIO(data))


def changes(image: Image) -> list[str]:
    """The image's configuration as Dockerfile instructions."""
    lines = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    if image.entrypoint:
        lines.append(f"ENTRYPOINT {json.dumps(list(image.entrypoint))}")
    if image.command:
        lines.append(f"CMD {json.dumps(list(image.command))}")
    if image.user:
        lines.append(f"USER {image.user}")
    if image.stop_signal:
        lines.append(f"STOPSIGNAL {image.stop_signal}")
    return lines


def ensure(client: docker.DockerClient, image: Image, *, pull: bool = True) -> str:
    """Makes the image and its other names present; returns how: "present", "pulled" or "built"."""
    how = "present"
    missing = []
    for name in (image.name, *image.also):
        try:
            client.images.get(name)
        except docker.errors.ImageNotFound:
            missing.append(name)
    if not missing:
        return how
    if pull and _pull(client, missing):
        return "pulled"
    busybox = find_busybox()
    archive = root_filesystem(image, busybox.read_bytes(), applets(busybox))
    for name in missing:
        repository, _, tag = name.rpartition(":")
        client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes(image))
        client.images.get(name)  # an import that failed says so in its stream only
    return "built"


def _pull(client: docker.DockerClient, names: Iterable[str]) -> bool:
    try:
        for name in names:
            repository, _, tag = name.rpartition(":")
            client.images.pull(repository, tag)
    except MIRRORS_UNREACHABLE:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", action="store_true", help="also the images that tests and tours use")
    parser.add_argument("--no-pull", action="store_true", help="build without asking a registry")
    parser.add_argument("--engine", default="unix:///var/run/docker.sock")
    options = parser.parse_args()
    client = docker.DockerClient(base_url=options.engine, timeout=PULL_TIMEOUT)
    for image in SYSTEM_IMAGES + (TEST_IMAGES if options.tests else ()):
        print(f"{image.name}: {ensure(client, image, pull=not options.no_pull)}", flush=True)


if __name__ == "__main__":
    main()
