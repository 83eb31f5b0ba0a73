"""Who may do what: an ordered list of authorizers, each of which allows, denies or has no opinion."""
