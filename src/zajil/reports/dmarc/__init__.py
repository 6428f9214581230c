"""DMARC reports: aggregate ones, to and from others (RFC 9990); failures, from others (RFC 9991).

Reading order: ``report`` (the values), ``write_xml`` and ``read_xml``, ``failure``, ``mail`` (what
carries ours), ``codec`` (JSON of what is counted), ``counts``, ``consent``, ``sending``.
"""
