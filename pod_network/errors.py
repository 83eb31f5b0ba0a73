"""The errors of the pod network, with texts fit for a pod's events."""

from __future__ import annotations


class NetworkError(Exception):
    """A pod could not be wired, or the node's part of the network could not be set up; trying again may help."""


class AddressesExhausted(NetworkError):
    """Every address of the node's pod range is in use."""
