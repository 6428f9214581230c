"""Reports to other domains about their mail, and reports of others about ours.

``kind`` is what a kind of report has of its own; ``counts`` collects what happened, ``sending``
makes a report for each interval and sends it, ``packing`` is the archives that reports come in.
``dmarc`` (RFC 9990, RFC 9991) and ``tls`` (RFC 8460) are the kinds. Reports of others: ``incoming``
finds them in mails, ``collector`` reads those that arrived, ``codec`` is how the store keeps them.
"""
