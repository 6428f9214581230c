"""Asks name servers, as a stub: the recursion is theirs.

Reading order: ``client`` (whom to ask, in which order), ``cache``, ``back_off`` (what does not
answer is left alone for a moment), ``servers`` (which name servers are up), ``slots`` (how many
questions at a time), ``exchange`` (UDP and TCP), ``wire`` (messages).
"""
