"""Health endpoints answer in the official words."""

from __future__ import annotations

import asyncio

from component_base.diagnostics import answer_health, diagnostics_app
from component_base.health import HealthChecks
from component_base.metrics import metrics_response
from component_base.serving import Server


async def broken() -> None:
    raise OSError("no")


def checks() -> HealthChecks:
    health = HealthChecks()
    health.add("etcd", broken, groups=("readyz",))
    return health


async def test_success_is_ok_and_verbose_lists_the_checks() -> None:
    assert (await answer_health(checks(), "/livez")).body == "ok"
    answer = await answer_health(checks(), "/livez", b"verbose")
    assert (answer.status, answer.body) == (200, "[+]ping ok\nlivez check passed\n")


async def test_failure_names_the_check_and_withholds_the_reason() -> None:
    answer = await answer_health(checks(), "/readyz")
    assert answer.status == 500
    assert answer.body == "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"


async def test_excluded_checks_do_not_run_and_unknown_ones_are_warned_about() -> None:
    answer = await answer_health(checks(), "/readyz", b"verbose&exclude=etcd&exclude=nope")
    assert answer.status == 200
    assert answer.body == (
        "[+]ping ok\n[+]etcd excluded: ok\n"
        'warn: some health checks cannot be excluded: no matches for "nope"\nreadyz check passed\n'
    )


async def test_single_checks_have_their_own_path() -> None:
    assert (await answer_health(checks(), "/readyz/ping")).body == "ok"
    assert (await answer_health(checks(), "/readyz/etcd")).status == 500
    assert (await answer_health(checks(), "/readyz/other")).status == 404


async def test_the_diagnostics_server_shows_health_and_metrics() -> None:
    server = Server(diagnostics_app(HealthChecks(), metrics_response), "127.0.0.1", 0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ") and b"process_resident_memory_bytes" in answer
    await server.stop()
