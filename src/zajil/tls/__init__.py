"""TLS contexts, connections and certificates.

Reading order: ``context`` (what we accept), ``channel`` (the server's end of a connection, without
I/O), ``keeper`` (the certificate of a running server),
``certificate`` (what is in a certificate, and what is wrong with it), ``self_signed``.
"""
