"""The command line: Typer, one file per noun.

Laws:
- A command's docstring is its help and its page in the manual; its parameters are its arguments.
- What prints data takes ``--json``. Exit status: 0 done, 1 it could not be done or the answer is
  no, 2 wrong usage. An expected error is one sentence on stderr, never a traceback.
- Whatever a command needs is imported inside of it, so that ``zajil --help`` answers at once.

Reading order: ``main`` (the root, errors to exit status), ``configured`` (from ``--config`` to a
configuration and a store), ``output``, ``errors``, then the nouns.
"""
