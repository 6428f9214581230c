"""Mail authentication, without I/O."""
