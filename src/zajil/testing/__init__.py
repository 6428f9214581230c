"""Clock, zone, network, wire, mail and store for tests; imported by tests only."""
