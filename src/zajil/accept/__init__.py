"""One door for all mail: what port 25, LMTP, submission, the web and our own mail share."""
