"""SASL mechanisms as steps, without I/O (RFC 4422).

Reading order: ``step`` (the result of a step), ``plain``, ``login``, ``scram``, ``oauth``,
``mechanism`` (lookup by name), ``client`` (the other side, for relays).
"""
