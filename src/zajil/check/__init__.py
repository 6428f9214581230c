"""Step 3: who sent it, do we want it."""
