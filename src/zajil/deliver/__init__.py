"""Step 5: bring it there, or say why not."""
