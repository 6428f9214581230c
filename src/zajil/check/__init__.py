"""Step 3: who sent it, do we want it.

Reading order: ``facts`` (what is known when the message is here), ``content`` (format and limits),
``verdict`` (pure: reasons to a verdict), ``result_fields`` (Authentication-Results), ``step``
(all of it, in order). SPF, DKIM, DMARC and spam checks have their place in ``step`` and their own
issue.
"""
