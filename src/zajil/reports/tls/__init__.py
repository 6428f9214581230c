"""TLS reports: how the encryption of connections between mail servers went (RFC 8460).

Reading order: ``report`` (the values), ``json_format``, ``mail``, ``counts`` (what this server
saw), ``sending`` (where reports go).
"""
