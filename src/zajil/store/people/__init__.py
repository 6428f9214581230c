"""Domains, accounts and aliases, their passwords and sessions, and the signing keys."""
