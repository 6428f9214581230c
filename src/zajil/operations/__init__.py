"""Operations shared by web and command line, on the store itself: no running server is needed.

Reading order: ``open`` (a store for one command), ``names`` (what people type becomes names),
``password``, ``dkim_keys``, ``domains``, ``accounts``, ``account_changes``, ``app_passwords``,
``aliases``, ``reach``, ``delegations``, ``dns_advice``, ``zone_file``, ``setup`` (all of these for
a new server), ``journey``, ``queue``.
"""
