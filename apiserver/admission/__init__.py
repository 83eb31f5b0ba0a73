"""Admission: what may be changed or refused about a write after it was authorized, as an ordered list of plugins."""
