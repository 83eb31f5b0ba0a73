"""Defaulting: what Kubernetes fills in when a field is left out, per kind, in place.

Functions here change the object given to them, do no I/O and never look at anything but the object: everything
that depends on the cluster (allocated addresses, service accounts, priorities) is somebody else's.
"""
