"""What users and peers did: counts behind training, reputation, greylisting and sending limits."""
