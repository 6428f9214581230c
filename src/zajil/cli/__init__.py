"""The command line: Typer, one file per noun.

Rules:
- The docstring of a command is its help and its page in the manual; its parameters are its
  arguments.
- Commands that print data accept ``--json``. Exit status: 0 done, 1 not possible or the answer is
  no, 2 wrong usage. An expected error is one sentence on stderr, never a traceback.
- The module of a command is imported when the command is chosen (``commands``), and what it needs
  inside its function, so that ``zajil --help`` answers at once.

Reading order: ``main`` (the root, errors to exit status), ``commands``, ``configured`` (from
``--config`` to a configuration and a store), ``output``, ``errors``, then the nouns.
"""
