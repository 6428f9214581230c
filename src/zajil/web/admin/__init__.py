"""The operator's pages, one module for each: what they show, and the operations that they call."""
