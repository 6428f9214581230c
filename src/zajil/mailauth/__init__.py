"""Mail authentication, without I/O: flows that ask DNS, over bytes that are here.

Reading order: ``authres`` (what we say about it, RFC 8601). ``spf_record``, ``spf_macro``, ``spf``
(may this address send for this domain, RFC 7208). ``tag_list``, ``dkim_signature``, ``dkim_key``,
``dkim_canon``, ``dkim_body`` (the parts of a signature), ``dkim_verify``, ``dkim_sign`` (RFC 6376).
``arc_set``, ``arc``, ``arc_seal`` (what those before us found, RFC 8617). ``tree_walk``,
``dmarc_record``, ``dmarc`` (does any of it speak for the author, RFC 9989). ``bimi``, ``logotype``,
``logo_svg``, ``mark_certificate`` (a logo of the author that a certificate confirms). DMARC reports
are in ``reports``.
"""
