"""Routing: whose is an address, and which server is next.

Other steps ask; the answers are values. Reading order: ``recipient`` (local, remote, unknown),
``alias`` (what an address stands for), ``directory_flow`` (how both ask the directory),
``transport`` (own servers of the domain, or a relay), ``next_hop`` (from names to hosts).
"""
