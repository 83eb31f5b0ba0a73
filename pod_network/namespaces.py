"""Blocking work in a chosen network namespace, away from the event loop.

A network namespace belongs to a thread, not to a process. So each user of the kernel's network gets one thread that
enters its namespace once and stays; netlink sockets, files under /proc/sys/net and child processes made there all act
on that namespace. The event loop's own thread never changes its namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CLONE_NEWNET = 0x40000000
NAMED_NAMESPACES = "/run/netns"

_libc = ctypes.CDLL(None, use_errno=True)


class NetworkThread:
    """One thread in one namespace; calls run one after the other, in the order in which they were made.

    `netns` is a name under /run/netns, a path such as /proc/7/ns/net, or None for the process's own namespace.
    """

    def __init__(self, netns: str | None = None) -> None:
        self.netns = netns
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="network", initializer=self._enter)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in the thread; its exceptions come back. Cancellation does not stop a running call."""
        return await asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))

    def close(self) -> None:
        """Let the thread end after the calls made so far."""
        self._executor.shutdown(wait=False)

    def _enter(self) -> None:
        if self.netns is not None:
            path = self.netns if "/" in self.netns else f"{NAMED_NAMESPACES}/{self.netns}"
            with _opened(path) as descriptor:
                _setns(descriptor)


@contextlib.contextmanager
def of_process(pid: int) -> Iterator[None]:
    """The calling thread is in the network namespace of process `pid` for the length of the block.

    Only for a NetworkThread: the event loop's thread must not be moved. Raises OSError when the process is gone.
    """
    with _opened("/proc/thread-self/ns/net") as own, _opened(f"/proc/{pid}/ns/net") as theirs:
        _setns(theirs)
        try:
            yield
        finally:
            _setns(own)


def is_own(pid: int) -> bool:
    """Whether process `pid` is in the calling thread's network namespace, as pods of the host's network are.

    Raises OSError when the process is gone.
    """
    return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/thread-self/ns/net").st_ino


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
