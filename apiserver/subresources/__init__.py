"""What hangs below an object: scale, binding, eviction, tokens, and the streams that a kubelet serves.

`status` and other parts that are written alone need no code here: they are rules of their kind.
"""
