"""Several mail domains on one computer, each a real server, with DNS, certificates and accounts.

Reading order: ``domains`` (domains and accounts), ``addresses`` and ``zones``, ``keys`` (their
records), ``dns_answer`` and ``dns_server``, ``ca``, ``state`` (kept for later starts),
``configuration``, ``server`` (the process of one domain or node), ``balancer`` (in front of several
nodes), ``running``, ``lab`` (start and stop), ``summary``, ``journeys``, ``send``, ``web``.
"""
