"""Files of volumes: what they contain, and that they change all at once."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from kubelet.volumes import atomic
from kubelet.volumes.atomic import File
from kubelet.volumes.manager import host_path, remove_pod_directory, sub_path
from kubelet.volumes.payload import MountError, config_map_files, secret_files

CONFIG = {"data": {"a": "1", "b": "2"}, "binaryData": {"c": base64.b64encode(b"\x00").decode()}}


def test_all_keys_or_the_chosen_ones_with_their_modes() -> None:
    assert set(config_map_files(CONFIG, {}, 0o644)) == {"a", "b", "c"}
    chosen = config_map_files(CONFIG, {"items": [{"key": "a", "path": "x/y", "mode": 0o400}]}, 0o644)
    assert chosen == {"x/y": File(b"1", 0o400)}


def test_missing_sources() -> None:
    with pytest.raises(MountError, match='configmap "m" not found'):
        config_map_files(None, {"name": "m"}, 0o644)
    with pytest.raises(MountError, match="references non-existent secret key: k"):
        secret_files({"data": {}}, {"items": [{"key": "k", "path": "k"}]}, 0o644)
    assert config_map_files(None, {"name": "m", "optional": True}, 0o644) == {}


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    assert atomic.write(volume, {"a": File(b"1"), "dir/b": File(b"2", 0o400)})
    assert (volume / "a").read_bytes() == b"1"
    assert os.readlink(volume / "a") == "..data/a"
    assert stat.S_IMODE((volume / "dir" / "b").stat().st_mode) == 0o400
    before = os.readlink(volume / "..data")
    assert not atomic.write(volume, {"a": File(b"1"), "dir/b": File(b"2", 0o400)})
    assert atomic.write(volume, {"a": File(b"new")})
    assert (volume / "a").read_bytes() == b"new"
    assert not (volume / "dir").exists() and not os.path.lexists(volume / "dir")
    assert not (volume / before).exists()


def test_a_group_may_read(tmp_path: Path) -> None:
    atomic.write(tmp_path / "v", {"a": File(b"1", 0o400)}, group=2000)
    found = (tmp_path / "v" / "a").stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (2000, 0o440)


def test_host_path_types(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert host_path({"path": str(file), "type": "File"}) == file
    with pytest.raises(MountError, match=f"hostPath type check failed: {file} is not a directory"):
        host_path({"path": str(file), "type": "Directory"})
    assert host_path({"path": str(tmp_path / "new"), "type": "DirectoryOrCreate"}).is_dir()
    assert host_path({"path": str(tmp_path / "newfile"), "type": "FileOrCreate"}).is_file()


def test_a_sub_path_cannot_leave_its_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    with pytest.raises(MountError, match="not within volume path"):
        sub_path(volume, "out/passwd", create=False)
    with pytest.raises(MountError):
        sub_path(volume, "../x", create=True)
    assert sub_path(volume, "a/b", create=True).is_dir()


def test_a_removed_pod_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "pods" / "u" / "volumes").mkdir(parents=True)
    remove_pod_directory(tmp_path, "u")
    remove_pod_directory(tmp_path, "u")
    assert not (tmp_path / "pods" / "u").exists()
