"""All SQL is here, and only here."""
