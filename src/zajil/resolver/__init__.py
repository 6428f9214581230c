"""Asks name servers, as a stub: the recursion is theirs.

Reading order: ``client`` (whom to ask, in which order), ``cache``, ``exchange`` (UDP and TCP),
``wire`` (messages).
"""
