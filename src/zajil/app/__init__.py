"""Wires options, store, steps and listeners together; starts and stops them.

Reading order: ``serve`` (the start), ``shared`` (what is made before workers are forked),
``running`` (the supervisor's side), ``reload`` (what a reload changes, and how), ``open_files``
(how many a process may have), ``worker`` (one process), ``resources`` (what it makes its
services from), ``services`` (which those are), ``listeners`` (the mail protocols), ``upkeep``
(every chore and its interval), ``chores`` (which worker does a chore).

Laws:
- What must be shared by all workers (bound sockets, the TLS context with its ticket keys) is made
  before the fork; what holds a thread, a connection or a loop is made after it.
- Stopping is: no new connections, mails in flight end, then the store closes.
"""
