"""What every daemon shares beneath the API client: process life, logs, serving, health, metrics, streams.

This package knows HTTP and bytes, never Kubernetes objects beyond `Status`; it must stay light, because its
memory is paid once per daemon (no FastAPI, no API client here).
"""
