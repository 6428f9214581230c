"""From findings to a verdict, and the explanation of it. Pure."""
