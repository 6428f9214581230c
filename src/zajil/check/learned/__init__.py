"""What is learned from the users: words, the history of correspondents, the greylist."""
