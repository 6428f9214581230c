"""Operations shared by web and command line, on the store itself: no running server is needed.

Reading order: ``open`` (a store for one command), ``names`` (what people type becomes names),
``password``, ``dkim_keys``, ``domains``, ``accounts``, ``app_passwords``, ``aliases``,
``delegations``, ``dns_advice``, ``setup`` (all of these for a new server), ``journey``, ``queue``.
"""
