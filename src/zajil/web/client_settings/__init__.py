"""Settings that mail programs find by themselves: Mozilla's autoconfig, Outlook's autodiscover, and
configuration profiles of Apple.

Reading order: ``autoconfig``, ``autodiscover`` and ``apple_profile`` make the documents,
``pages`` serves them.

Security: the answers are the same for all addresses of a domain, so that nobody learns which
accounts exist. The user name in them is the address that was asked for, which every account can log
in with.
"""
