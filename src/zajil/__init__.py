"""Zajil (زاجل): a complete mail system. The tree is the journey of a mail.

The steps, in order: ``submit`` (our users hand mail in), ``receive`` (the world hands mail in),
``check`` (who sent it, do we want it), ``route`` (whose is it, where next), ``deliver`` (bring it
there, or say why not), ``read`` (the owner reads it).

What the steps are made of: ``core``, ``message``, ``dns``, ``sasl``, ``tracking``, ``smtp``,
``imap``, ``mailauth`` (pure), ``config``, ``net``, ``tls``, ``resolver``, ``store``, ``login``,
``keys`` (with I/O).

The faces: ``admin``, ``web``, ``app``, ``lab``, ``cli``. ``testing`` is for tests only.
ARCHITECTURE.md is the map on one page; ``tests/test_layers.py`` keeps it true.
"""
