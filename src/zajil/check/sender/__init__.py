"""Who sent a mail: SPF, DKIM, ARC and DMARC, the peer, and what its name claims.

Reading order: ``sender`` (all of it, in order), ``findings`` (what it found, as
Authentication-Results and as events), ``result_fields`` (our field, and forged ones); ``peer``,
``dns_lists``; ``author``, ``claims``, ``own_domain_spoofing`` (the names in From); ``forwarding``
(when a failure does not count); ``correspondent`` (whose history a mail belongs to).
"""
