"""Rows of reports to others and from others. What they mean is decided in ``reports``.

Reading order: ``intervals`` (what is counted until it is reported), ``received`` (reports of
others about our domains).
"""
