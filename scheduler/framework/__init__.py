"""The scheduling framework: extension points, their results, the registry of plugins, profiles.

Same points and plugin names as the original (https://kubernetes.io/docs/concepts/scheduling-eviction/
scheduling-framework/), but Filter and Score answer for all nodes at once, as numpy arrays over the node table.
"""
