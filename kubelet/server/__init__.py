"""The kubelet's HTTPS API: logs, exec, attach, port-forward, pods, health, metrics."""
