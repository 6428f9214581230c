"""Words every other package speaks: ids, addresses, domains, time, sizes.

Pure: no I/O, no clock, no randomness. Reading order: ``ids``, ``domain``, ``address``,
``directory``, ``clock``, ``units``.
"""
