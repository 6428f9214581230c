"""Certificates by ACME (RFC 8555): which names, when, by whom, and the keys for TLSA records.

Reading order: ``names`` (which names the server needs, and which of them lead to it), ``plan``
(what is due; pure), ``host_key`` (keys and certificates as bytes), ``authority`` (the conversation
with an authority; it blocks) and ``authority_network`` (its HTTP, within bounds), ``order`` (one
order, from the challenge to the chain), ``upkeep`` (the background task), ``listing`` (all
certificates of a server, for people and other programs).
"""
