"""One module per kind: its strategy (rules, defaults, selectable fields) and how `kubectl get` shows it.

Modules here combine the pure rules of `apiserver.validation` and `apiserver.defaults`; they do no I/O. Every
module is imported at start, and the classes marked `@register` are served.
"""
