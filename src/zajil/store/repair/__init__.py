"""Finding and mending damage in a store."""
