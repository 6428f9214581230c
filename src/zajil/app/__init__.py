"""Wires options, store, steps and listeners together; starts and stops them.

Reading order: ``serve`` (the supervisor's side: bind, prepare, fork), ``open_files`` (how many a
process may have), ``worker`` (one process), ``means`` (what it has to build from), ``services``
(what it is made of), ``listeners`` (the mail protocols).

Laws:
- What must be shared by all workers (bound sockets, the TLS context with its ticket keys) is made
  before the fork; what holds a thread, a connection or a loop is made after it.
- Stopping is: no new connections, mails in flight end, then the store closes.
"""
