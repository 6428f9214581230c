"""Delivery: bring a mail to the next server, or report why not.

Reading order: ``run`` (lease recipients, start attempts), ``outgoing_mail`` (what an attempt gets
and returns), ``schedule`` (order and retry times), ``attempt`` (the hosts of a domain, one after
the other), ``security`` (connect, STARTTLS), ``client_channel`` (one SMTP connection),
``transaction`` (one mail over it), ``connections`` (reuse), ``local`` (copies for mailboxes of ours
that had to wait), ``attempt_result`` (results to rows and events), ``bounce`` (the report to the
sender), ``result_writer`` (writes them to the store).
"""
