"""Static bearer tokens from a CSV file: token,user,uid,"group,group".

Follows https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file.
The file is read once at start, as the official server does; tokens are kept as digests, so that comparing takes
the same time for all.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from apiserver.registry.strategy import User


class StaticTokenAuthenticator:
    """Knows the tokens of one file."""

    def __init__(self, path: str) -> None:
        """Raises OSError where the file cannot be read, ValueError for a line with fewer than three columns."""
        self._users: dict[bytes, User] = {}
        with Path(path).open(newline="") as stream:
            for number, row in enumerate(csv.reader(stream), 1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 3 or not row[0]:
                    raise ValueError(
                        f"{path}:{number}: expected at least the columns token, user name, user uid"
                    )
                groups = (
                    tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 and row[3] else ()
                )
                self._users[_digest(row[0])] = User(row[1], uid=row[2], groups=groups)

    async def authenticate(self, token: str) -> User | None:
        """The user of a token, None for an unknown one."""
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
