"""aiohttp, imported without the system's certificate authorities; import it from here.

aiohttp reads them while it is imported: 140 ms and several MiB in every daemon, for a default TLS context that
none of them uses. Callers bring their own context, or verify nothing; what relied on the default would be refused.
"""

from __future__ import annotations

import ssl
from typing import Any

_original = ssl.create_default_context


def _without_authorities(*arguments: Any, **options: Any) -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


ssl.create_default_context = _without_authorities
try:
    import aiohttp
finally:
    ssl.create_default_context = _original

__all__ = ["aiohttp"]
