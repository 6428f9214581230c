"""SASL mechanisms as steps, without I/O (RFC 4422).

Reading order: ``step`` (what a step may come to), ``plain``, ``login``, ``scram``, ``oauth``,
``mechanism`` (by name).
"""
