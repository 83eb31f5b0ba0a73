"""The node agent: runs the pods that are bound to its node and tells the API server how they are.

Decisions are pure functions (`pods.plan`, `pods.status`, `node.status`); `runtime` is the only package that knows
the container engine, and the pod network is `pod_network`'s business. Nothing here may depend on having seen
an event: the kubelet can be killed at any moment and continues from what runs.
"""
