"""DNS as questions and answers, without sockets.

Pure. Reading order: ``flow`` (``Question``, ``Answer``, ``Flow``: how SPF, DKIM and routing query
DNS), ``public_suffix`` (the registered part of a name).
"""
