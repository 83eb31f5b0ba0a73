"""Names, times and metadata follow the official rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apimachinery import meta, names, times
from apimachinery.field import Path


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.is_dns1123_label, ["a", "a-b", "0a", "a" * 63], ["", "A", "-a", "a.b", "a" * 64, "a\n"]),
        (names.is_dns1123_subdomain, ["a.b", "a", "1.2"], ["", "a..b", "A.b", "a" * 254, "a_b"]),
        (names.is_dns1035_label, ["a1", "a-b"], ["1a", "a.b", ""]),
        (names.is_qualified_name, ["a", "A_b.c", "x.io/a"], ["", "/a", "x/", "a/b/c", "X.io/a", "a" * 64]),
        (names.is_label_value, ["", "A.b_c"], ["-a", "a b", "a" * 64]),
        (names.is_config_map_key, ["a.b", "_x"], ["", "..", "..a", "a/b", "."]),
        (names.is_env_var_name, ["A", "a.b-c", "1A", "with space"], ["", "a=b", "\u00e4"]),
        (names.is_port_name, ["http", "a-1"], ["", "1", "a--b", "-a", "UPPER", "sixteen-letters-"]),
        (names.is_ip, ["10.0.0.1", "::1"], ["", "10.0.0", "300.1.1.1"]),
    ],
)
def test_name_rules(check: Callable[[str], list[str]], good: list[str], bad: list[str]) -> None:
    assert [value for value in good if check(value)] == []
    assert [value for value in bad if not check(value)] == []


def test_name_messages() -> None:
    assert names.is_dns1123_label("A") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
        "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]
    assert names.is_dns1123_label("a.b") == ["must not contain dots"]
    [error] = names.validate_labels({"a": "b c"}, Path("metadata", "labels"))
    assert error.field == "metadata.labels[a]"


def test_generated_names_fit_a_label() -> None:
    assert len(names.generate_name("x" * 80)) == 63
    assert names.generate_name("web-").startswith("web-")
    assert names.is_dns1123_label(names.generate_name("web-")) == []


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.9Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
    ],
)
def test_times_are_stored_in_whole_utc_seconds(written: str, stored: str) -> None:
    assert times.canonical(written) == stored


def test_micro_times_keep_six_digits() -> None:
    assert times.canonical_micro("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z"
    assert times.canonical_micro("2026-01-02T03:04:05.1234567+01:00") == "2026-01-02T02:04:05.123456Z"
    assert times.format(times.parse("2026-01-02T03:04:05Z")) == "2026-01-02T03:04:05Z"


RFC3339 = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("", f'parsing time "" as "{RFC3339}": cannot parse "" as "2006"'),
        ("2026", f'parsing time "2026" as "{RFC3339}": cannot parse "" as "-"'),
        (
            "2026-01-01 00:00:00Z",
            f'parsing time "2026-01-01 00:00:00Z" as "{RFC3339}": cannot parse " 00:00:00Z" as "T"',
        ),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
        ("2026-01-01T00:00:00Zx", 'parsing time "2026-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_times_that_are_none(wrong: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        times.parse(wrong)
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (0, "0s"), (45, "45s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (600, "10m"),
        (3 * 3600, "3h"), (3 * 3600 + 600, "3h10m"), (8 * 3600 + 600, "8h"), (47 * 3600, "47h"),
        (50 * 3600, "2d2h"), (10 * 86400, "10d"), (800 * 86400, "2y70d"), (4000 * 86400, "10y"),
    ],
)  # fmt: skip
def test_ages(seconds: float, shown: str) -> None:
    assert times.human_duration(seconds) == shown


def test_a_condition_moves_its_time_only_with_its_status() -> None:
    conditions: list[meta.Object] = []
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False", "lastTransitionTime": "t1"})
    assert not meta.set_condition(
        conditions, {"type": "Ready", "status": "False", "lastTransitionTime": "t2"}
    )
    reasoned = {"type": "Ready", "status": "False", "reason": "R", "lastTransitionTime": "t2"}
    assert meta.set_condition(conditions, reasoned)
    assert conditions[0]["lastTransitionTime"] == "t1"
    assert meta.set_condition(conditions, {"type": "Ready", "status": "True", "lastTransitionTime": "t3"})
    assert conditions[0]["lastTransitionTime"] == "t3"


def test_keys_and_owners() -> None:
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "rs", "namespace": "n", "uid": "1"},
    }
    pod = {"metadata": {"name": "p", "namespace": "n", "ownerReferences": [meta.owner_reference(owner)]}}
    assert meta.key(pod) == "n/p"
    assert meta.split_key("n/p") == ("n", "p")
    assert meta.split_key("node-1") == ("", "node-1")
    assert meta.is_controlled_by(pod, owner)
    reference = meta.controller_of(pod)
    assert reference is not None
    assert reference["blockOwnerDeletion"] is True
