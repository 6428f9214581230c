"""One file for each change of the schema, forward only, never changed once released."""
