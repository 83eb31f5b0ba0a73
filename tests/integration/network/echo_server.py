"""A tiny TCP and UDP server that says who it is and whom it sees, and its client. Run inside namespaces."""

from __future__ import annotations

import selectors
import socket
import sys


def serve(name: str, address: str, tcp: int, udp: int) -> None:
    selector = selectors.DefaultSelector()
    if tcp:
        listener = socket.create_server((address, tcp), backlog=128)
        selector.register(listener, selectors.EVENT_READ)
    if udp:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((address, udp))
        selector.register(receiver, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if key.fileobj.type == socket.SOCK_STREAM:
                connection, peer = key.fileobj.accept()
                connection.sendall(f"{name} {peer[0]}".encode())
                connection.close()
            else:
                _, peer = key.fileobj.recvfrom(2048)
                key.fileobj.sendto(f"{name} {peer[0]}".encode(), peer)


def ask(address: str, port: int, kind: str, timeout: float, source: str = "") -> str:
    try:
        with socket.socket(
            socket.AF_INET, getattr(socket, {"tcp": "SOCK_STREAM", "udp": "SOCK_DGRAM"}[kind])
        ) as own:
            own.settimeout(timeout)
            if source:
                own.bind((source, 0))
            own.connect((address, port))
            if kind == "udp":
                own.send(b"?")
            return own.recv(2048).decode()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError:
        return "unreachable"


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        print(ask(sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]), *sys.argv[6:7]))
    else:
        serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
