"""Sockets: listeners, streams, drivers of the protocol engines, processes.

Reading order: ``peer`` (who is at the other end), ``system`` (the real clock and random source),
``listener`` (bind with a clear error), ``drive_smtp`` (serve the SMTP engine), ``stream`` (a
client's connection, for deliver).
"""
