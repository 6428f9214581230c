"""The DKIM keys of local domains (RFC 6376, RFC 8301, RFC 8463).

Reading order: ``record`` (a key as its TXT record), ``generate`` (new keys), ``rotation`` (pure:
due actions), ``lookup`` (a flow: is the record in DNS), ``upkeep`` (performs due actions
periodically), ``keyring`` (the active keys in the memory of a worker), ``sign`` (signs a message).
The ARC seal of forwarded mail is in ``accept.forward_seal``.
"""
