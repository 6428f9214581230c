"""Clock, zone, network, wire, mail, directory and store for tests; imported by tests only."""
