"""Mail authentication, without I/O.

Reading order: ``authres`` (Authentication-Results, RFC 8601). SPF, DKIM, DMARC and ARC come with
their own issue.
"""
