"""One participant's part in a session: the client's states, its socket thread, its keys, and `SessionCore`."""
