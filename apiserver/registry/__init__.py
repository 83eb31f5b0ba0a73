"""Objects between HTTP and storage: the verbs, written once, and a strategy for each kind."""
