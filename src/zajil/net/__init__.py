"""Sockets: listeners, streams, drivers of the protocol engines, processes."""
