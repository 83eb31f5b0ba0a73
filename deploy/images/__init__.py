"""Container images that a cluster needs where no registry can be reached.

Each image is pulled first, under its ordinary name; only if that fails is it built here from Debian's static busybox,
under the same name, so that manifests work unchanged on a machine without a network.
"""
