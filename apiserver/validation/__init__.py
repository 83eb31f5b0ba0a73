"""Semantic validation: the rules of Kubernetes beyond types, with the official messages and field paths.

The schema compiler has already refused wrong types and unknown fields when these functions run. They take
plain objects, never change them, do no I/O and return (or append to a given list) FieldErrors in the order in
which Kubernetes reports them. Paths are plain strings: they are built for each list element at most, and
for leaves only when there is something to report, so that a valid object costs next to nothing.
"""
