"""The configuration file: TOML to frozen, typed options, and back to text.

Reading order: ``options`` (every option there is), ``kinds`` (what values they take), ``load``
(file to options, errors that name the option), ``example`` (the commented example file and the
reference page).
"""
