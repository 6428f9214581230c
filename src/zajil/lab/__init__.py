"""Several mail domains on one machine, each a real server, with DNS, certificates and accounts.

Design section 5 is the contract. Reading order: ``domains`` (who lives in the lab), ``addresses``
and ``zones`` (where), ``keys`` (their records), ``dns_answer`` and ``dns_server``, ``ca``,
``state`` (what a second start finds again), ``configuration``, ``server`` (one domain's process),
``lab`` (start and end of it all), ``summary``, ``journeys``, ``send``, ``web``.
"""
