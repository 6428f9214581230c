"""Asks name servers, as a stub: the recursion is theirs.

Reading order: ``client`` (whom to ask, in which order), ``cache``, ``silence`` (who
does not answer is left alone), ``exchange`` (UDP and TCP), ``wire`` (messages).
"""
