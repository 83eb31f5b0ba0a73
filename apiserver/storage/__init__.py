"""Storage: etcd, the watch cache and everything between them."""
