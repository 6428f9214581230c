"""From SQLite to PostgreSQL: all rows of a store, as they are.

``rows`` brings tables over and compares them, ``messages`` the bytes of messages, ``target`` is the
schema that is filled, ``move`` does all of it in order.
"""
