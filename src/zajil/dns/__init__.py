"""DNS as questions and answers, without sockets.

Pure. To read: ``flow`` (``Question``, ``Answer``, ``Flow``: how SPF, DKIM, routing ask in the
middle of thinking).
"""
