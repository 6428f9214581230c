"""The delivery queue: leasing recipients, settling attempts, what operators see and do."""
