"""EndpointSlices: the addresses of a Service in pieces of at most 100, of which only the changed are written.

`plan` packs endpoints into slices, `controller` writes them.
"""
