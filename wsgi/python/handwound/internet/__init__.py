"""Time, threads, sockets: the reactor and what goes with it."""
