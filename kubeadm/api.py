"""The few requests that the command line itself makes of the API server, with the administrator's certificate.

Blocking and on the standard library, because a command that asks two questions should not load an event loop.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

from kubeadm.errors import UserError
from kubeadm.settings import Settings


def request(settings: Settings, method: str, path: str, timeout: float = 5) -> tuple[int, bytes]:
    """One request; OSError where the server does not answer."""
    context = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
    context.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
    connection = http.client.HTTPSConnection(
        "127.0.0.1", settings.api_server_port, timeout=timeout, context=context
    )
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def is_ready(settings: Settings) -> bool:
    try:
        return request(settings, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def ready_nodes(settings: Settings) -> set[str]:
    """Names of the nodes whose condition Ready is True; empty while the server does not answer."""
    try:
        status, body = request(settings, "GET", "/api/v1/nodes")
    except OSError:
        return set()
    if status != 200:
        return set()
    return {node["metadata"]["name"] for node in json.loads(body)["items"] if _is_ready(node)}


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def delete_node(settings: Settings, name: str) -> None:
    """Removes a Node object; one that is gone already is no error."""
    status, body = request(settings, "DELETE", f"/api/v1/nodes/{name}")
    if status not in (200, 202, 404):
        raise UserError(f"Node {name} could not be removed: {body.decode(errors='replace')[:200]}")


def wait(condition: Callable[[], bool], deadline: float, what: str, hint: str) -> None:
    """Polls until `condition` holds; UserError when the monotonic `deadline` has passed."""
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(f"{what} in the time given by --wait: {hint}")
        time.sleep(0.05)
