"""The network of a node's pods: addresses, bridge, veth pairs, routes to other nodes, host ports.

Runs inside the kubelet (`wiring`, `agent`) or as a program of its own (`python -m pod_network`). It must never touch
an interface, route or rule that it did not make.
"""
