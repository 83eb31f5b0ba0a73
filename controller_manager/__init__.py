"""The controllers that turn what users declare into objects: one process, one leader.

Each controller is a pure plan (state in, actions out) and a thin reconcile that carries the plan out. They
meet the rest of the cluster only through the API, and never call each other.
"""
