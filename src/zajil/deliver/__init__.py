"""Step 5: bring it to the next server, or say why not.

Reading order: ``run`` (claim, attempt, settle), ``outgoing`` (what an attempt is given and gives
back), ``schedule`` (whose turn it is, when again), ``attempt`` (host by host), ``security`` (open a
connection, STARTTLS), ``link``, ``transaction`` (one mail over it), ``connections`` (reuse),
``local`` (into a mailbox of ours), ``settle`` (results to rows and events, who is told), ``bounce``
(tell the sender), ``commit`` (bring it to the store).
"""
