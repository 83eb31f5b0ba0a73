"""The Kubernetes API client that every daemon uses: requests, watches, informers, work queues, controllers,
leader election and events.

It speaks to any API server, ours or the original, knows resources only as rows of
`apimachinery.resources`, and must never import a daemon.
"""
