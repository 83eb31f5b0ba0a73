"""The official schema, compiled: request bodies are decoded and checked here, for every kind by one means."""

from __future__ import annotations

from apimachinery.schema.decode import Checked, check, configure, decoder

__all__ = ["Checked", "check", "configure", "decoder"]
