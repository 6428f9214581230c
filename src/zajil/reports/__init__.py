"""Reports to other domains about their mail, and reports of others about ours.

``kind`` is what a kind of report has of its own; ``counts`` collects what happened, ``sending``
makes a report for each interval and sends it, ``packing`` is the archives that reports come in.
``dmarc`` is the one kind so far (RFC 9990, RFC 9991); SMTP TLS reports would be the second.
"""
