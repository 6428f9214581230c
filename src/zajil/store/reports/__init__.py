"""DMARC reports: what is counted for others, and what others sent."""
