"""Authentication with passwords, app passwords, SCRAM and tokens, for all protocols.

Reading order: ``account`` (the result of a log-in), ``service`` (the decision), ``exchange`` (AUTH
and AUTHENTICATE, step by step), ``session_login`` (the log-in of one session), ``passwords``
(argon2id, and the cache), ``guesses`` and ``throttle`` (delays after failures), ``tokens`` (OAuth),
``open_sessions`` (sessions whose credentials changed).
"""
