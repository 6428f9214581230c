"""The keys our domains sign with: DKIM (RFC 6376, RFC 8301, RFC 8463).

Reading order: ``record`` (a key as its TXT record), ``generate`` (new keys), ``rotation`` (pure:
what is due), ``lookup`` (a flow: is the record in DNS), ``upkeep`` (does what is due, again and
again), ``keyring`` (the active keys in a worker's memory), ``sign`` (a message gets its
signatures). The seal of a mail that is forwarded is in ``accept.forward_seal``.
"""
