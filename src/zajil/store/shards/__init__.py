"""Domains spread over several stores (decision 0020).

Read ``catalogue`` first: what the main shard knows. ``homes`` keeps it in the memory of a worker,
``numbers`` keeps ids of accounts apart, ``rows`` and ``move`` take an account elsewhere.
"""
