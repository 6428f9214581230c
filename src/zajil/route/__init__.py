"""Step 4: whose is it, and where next."""
