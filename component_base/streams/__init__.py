"""The streaming protocols of exec, attach and port-forward, server side, over a hijacked connection.

Two transports (SPDY/3.1 and WebSocket) carry the same sessions: `remote_command` (stdin, stdout, stderr,
resize, error) and `port_forward` (pairs of data and error streams). `tunnel` passes such a connection on as
bytes, for the API server in front of a kubelet. Nothing here knows pods or containers.
"""
