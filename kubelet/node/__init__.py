"""This node as the API server knows it: its Node object and its Lease."""
