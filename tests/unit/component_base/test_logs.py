"""Log lines in klog's text form and in JSON; secrets are masked."""

from __future__ import annotations

import json
import re

import pytest

from component_base import logs


def test_text_lines_follow_klog(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test")
    logs.get_logger("queue").info("Pod added", pod="default/x", tries=3, note='a "b"\nc')
    line = capsys.readouterr().err
    assert re.match(
        r'I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ queue\] "Pod added" pod="default/x" tries=3 note="a \\"b\\"\\nc"\n$',
        line,
    )


def test_json_lines_are_json_and_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", fmt="json")
    logs.get_logger("auth").error("Refused", bearer_token="abc", error=ValueError("bad"))
    record = json.loads(capsys.readouterr().err)
    assert record["msg"] == "Refused" and record["err"] == "bad"
    assert record["bearer_token"] == "--- REDACTED ---"


def test_debug_events_need_verbosity_four(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", verbosity=2)
    logs.get_logger("a").debug("hidden")
    assert capsys.readouterr().err == ""
