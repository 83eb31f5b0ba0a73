"""HTTP in, HTTP out: addresses, content negotiation, the resource lane, discovery and the other routes.

Nothing here knows a kind's rules or the storage; it translates between requests and `apiserver.registry`.
"""
