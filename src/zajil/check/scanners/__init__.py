"""External scanners that an operator runs beside the server: ClamAV and Rspamd."""
