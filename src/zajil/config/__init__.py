"""The configuration file: from TOML to frozen, typed options, and back to text.

Reading order: ``options`` (all options), ``kinds`` (types of values), ``load`` (from a file to
options, with errors that name the option), ``example`` (the commented example file and the
reference page).
"""
