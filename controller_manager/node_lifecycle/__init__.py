"""Node lifecycle: notices nodes that stopped reporting, and says so by conditions and taints.

`health` judges nodes, `zones` limits how fast they are given up, `controller` writes.
"""
