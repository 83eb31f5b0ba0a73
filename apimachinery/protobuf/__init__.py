"""The protobuf form of built-in objects, read into the plain JSON form. Loaded when the first such body arrives."""

from __future__ import annotations

from apimachinery.protobuf.envelope import MEDIA_TYPE, Unknown, open_envelope
from apimachinery.protobuf.messages import Message, message

__all__ = ["MEDIA_TYPE", "Message", "Unknown", "message", "open_envelope"]
