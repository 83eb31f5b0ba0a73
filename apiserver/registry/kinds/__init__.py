"""A module per kind (or family of kinds); every module here is imported when the API server starts."""
