"""Sockets: listeners, streams, drivers of the protocol engines, processes.

Reading order: ``peer`` (who is at the other end), ``system`` (the real clock and random source),
``listener`` (bind with a clear error), ``acceptor`` (accept, also when files run out), ``entrance``
(who may come in) with ``limits`` (caps over all workers), ``floods`` (what was refused),
``proxy_header`` and ``proxy`` (whose connection a proxy brings), ``smtp_contract`` and
``smtp_connection`` (one connection between transport, engine and session), ``linger`` (its end),
``drive_smtp`` (all of them on their listeners), ``drive_imap`` (both for IMAP), ``stream`` (a
client's connection, for deliver), ``supervise`` (worker processes), ``log``.
"""
