"""TLS contexts and certificates.

Reading order: ``context`` (what we accept), ``keeper`` (the certificate of a running server),
``certificate`` (what is in a certificate, and what is wrong with it), ``self_signed``.
"""
