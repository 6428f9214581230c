"""Step 2: the world hands mail in (port 25)."""
