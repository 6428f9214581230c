"""The database and the data folder: opening, migrating, reading, committing, hints of changes."""
