"""The four ways to change an object without sending all of it: JSON, merge and strategic patch, and apply.

All of them are pure: values in, a new value out, the arguments unchanged. What may be patched, and whether the
outcome is valid, is decided elsewhere.
"""
