"""A stub resolver: the name servers perform the recursion.

Reading order: ``client`` (order of servers), ``cache``, ``back_off`` (pauses after failures of
servers and zones), ``servers`` (available name servers), ``slots`` (limits on concurrent
queries), ``exchange`` (UDP and TCP), ``wire`` (messages). ``provider`` writes records.
"""
