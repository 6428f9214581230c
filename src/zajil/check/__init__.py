"""Step 3: who sent it, do we want it, and why (decision 0007).

Reading order: ``step`` (all of it, in order), ``facts`` (what is known when the message is here),
``verdict`` (pure: reasons to a verdict), ``signals`` (every reason there is). Who: ``peer``,
``dns_lists``, ``sender``, ``author``, ``claims``, ``forwarding``, ``sender_results``,
``result_fields`` (Authentication-Results), ``dmarc_counts``. What: ``inside``, ``view`` and
``late_parts`` (one parse for all of it), ``content`` (format and limits), ``structure``,
``html_text``, ``phishing``, ``pretence``, ``lure``, ``lookalike``, ``links``, ``attachments``,
``archives``. What is known beside the mail: ``knowledge``, ``names``, ``tokens``,
``classifier``, ``model``, ``trainer``, ``correspondent``, ``reputation``, ``greylist``,
``scanners`` with ``clamd`` and ``rspamd``. ``deadline`` and ``side_by_side`` drive flows;
``explain`` and ``measure`` tell of it, ``file_facts`` of a file.
"""
