"""Routing: whose is an address, and which server is next.

Other steps ask; the answers are values. Reading order: ``recipient`` (local, remote, unknown),
``alias`` (what an address stands for), ``directory_flow`` (how both ask the directory),
``next_hop`` (from MX records to hosts).
"""
