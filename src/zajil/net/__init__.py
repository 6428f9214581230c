"""Sockets: listeners, streams, drivers of the protocol engines, processes.

Reading order: ``peer`` (who is at the other end), ``system`` (the real clock and random source),
``listener`` (bind with a clear error), ``smtp_connection`` (one connection between transport,
engine and session), ``drive_smtp`` (all of them on their listeners), ``drive_imap`` (both for
IMAP), ``stream`` (a client's connection, for deliver), ``supervise`` (worker processes).
"""
