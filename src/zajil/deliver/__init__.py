"""Step 5: bring it to the next server, or say why not.

Reading order: ``run`` (claim, attempt, settle), ``outgoing`` (what an attempt is given and gives
back), ``schedule`` (whose turn it is, when again), ``attempt`` (host by host), ``security`` (open a
connection, STARTTLS), ``link``, ``transaction`` (one mail over it), ``connections`` (reuse),
``settle`` (results to rows and events), ``bounce`` (tell the sender).
"""
