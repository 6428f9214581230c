"""How a server is watched from outside: metrics for Prometheus, health, traces, alerts by mail.

Log, metrics and traces are views of the same tracking events, taken after the commit.

Read ``meters.py`` (every metric, once), ``meter_table.py`` (where the workers count),
``counting.py`` (events become counts), ``state.py`` (what is read from the store),
``scrape.py`` (the text that Prometheus gets), ``health.py``, ``http.py``.
"""
