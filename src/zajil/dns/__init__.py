"""DNS as questions and answers, without sockets.

Pure. Reading order: ``records`` (typed values), ``flow`` (``Question``, ``Answer``, ``Flow``:
how SPF, DKIM, routing ask in the middle of thinking).
"""
