"""`faults self-check`: every fault met by real HTTP clients."""
