"""Sockets: listeners, streams, the driver of the protocol engines, processes.

Reading order: ``peer`` (who is at the other end), ``system`` (the real clock and random source),
``listener`` (bind with a clear error), ``acceptor`` (accept, also when files run out),
``admission`` (who may connect) with ``limits`` (caps over all workers), ``floods`` (what was
refused), ``proxy_header`` and ``proxy`` (whose connection a proxy brings). The driver:
``line_protocol`` (what a protocol brings: engine, session, clocks), ``connection`` over
``line_transport`` (one connection), ``connection_table`` and ``line_service`` (all of a listener),
``smtp_service`` (the driver with SMTP; IMAP is ``read.imap.service``), ``simple_smtp`` (for
programs that use Zajil as a library). ``stream`` (a client's
connection, for deliver), ``log``. Processes: ``listener_set`` (listening sockets over reloads),
``generation`` (the workers of one configuration), ``supervise`` (starts and replaces them).
"""
