"""The REST server: the only daemon that reads and writes etcd; all others meet through it."""
