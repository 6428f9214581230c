"""Who is at the other end: passwords, throttled failures, the account that comes of it.

Submission, IMAP and the web all ask here, so that one throttle sees every failure (design D11).
Reading order: ``account`` (what a log-in gives), ``throttle`` (pure: how long a failure makes the
next try wait), ``service``.
"""
