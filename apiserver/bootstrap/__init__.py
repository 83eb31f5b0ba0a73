"""What every cluster has from its first second: system namespaces and the Service through which pods reach the API."""
