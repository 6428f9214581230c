"""Basic types for all other packages: ids, addresses, domains, time, sizes.

Pure: no I/O, no clock, no random source. Reading order: ``ids``, ``domain``, ``address``,
``directory``, ``clock``, ``units``.
"""
