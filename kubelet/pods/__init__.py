"""The life of a pod on this node: what it should be doing (`plan`), what it says of itself (`status`), doing it."""
