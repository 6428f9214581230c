"""The command line: Typer, one file per noun.

Rules:
- The docstring of a command is its help and its page in the manual; its parameters are its
  arguments.
- Commands that print data accept ``--json``. Exit status: 0 done, 1 not possible or the answer is
  no, 2 wrong usage. An expected error is one sentence on stderr, never a traceback.
- A command imports what it needs inside its function, so that ``zajil --help`` answers at once.

Reading order: ``main`` (the root, errors to exit status), ``configured`` (from ``--config`` to a
configuration and a store), ``output``, ``errors``, then the nouns.
"""
