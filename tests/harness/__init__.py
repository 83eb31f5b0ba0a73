"""What the tests stand on: real etcd, real daemons, real clusters, each started for a test and removed after it."""
