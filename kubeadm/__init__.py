"""Clusters: what brings one up, looks after it, and takes it down.

This package plays the role of kubeadm and of a small init system. It makes certificates and kubeconfigs,
prepares nodes, and starts every daemon as a process of its own; it never imports a daemon.
"""
