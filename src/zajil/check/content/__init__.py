"""What a message is made of: its form, its words, links and files. Pure."""
