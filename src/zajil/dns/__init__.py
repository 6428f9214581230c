"""DNS as questions and answers, without sockets.

Pure. To read: ``flow`` (``Question``, ``Answer``, ``Flow``: how SPF, DKIM, routing ask in the
middle of thinking), ``public_suffix`` (which part of a name somebody registered).
"""
