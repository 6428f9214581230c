"""The DNS resolver that answers flows."""
