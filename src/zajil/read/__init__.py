"""Step 6: the owner reads it."""
