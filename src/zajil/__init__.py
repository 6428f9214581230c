"""Zajil (زاجل): a complete mail system.

A mail takes these steps: ``submit`` (our users hand it in) or ``receive`` (another server hands it
in); ``accept`` (it is checked, filed and committed), which asks ``check`` (is it wanted?) and
``route`` (whose is it?); ``deliver`` (to the next server); ``read`` (the owner reads it).

The steps use ``core``, ``message``, ``dns``, ``sasl``, ``tracking``, ``smtp``, ``imap``,
``mailauth`` (pure), ``config``, ``tls``, ``net``, ``resolver``, ``store``, ``login``, ``keys`` and
``reports`` (with I/O).

People use ``web`` and ``cli``, which change things through ``operations``. ``app`` connects
everything; ``lab`` runs several servers on one machine. ARCHITECTURE.md is the map on one page.
"""
