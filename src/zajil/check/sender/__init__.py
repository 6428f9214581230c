"""Who sent a mail: SPF, DKIM, ARC and DMARC, the peer, and what its name claims."""
