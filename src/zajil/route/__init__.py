"""Routing: the owner of an address, and the next hop.

Other steps call it and get values. Reading order: ``recipient`` (local, remote, unknown), ``alias``
(expansion), ``directory_flow`` (how both query the directory), ``filing`` (the mailbox), ``copies``
(what the store writes), ``next_hop`` (from MX records to hosts).
"""
