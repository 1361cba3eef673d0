"""The quiet floor: synchronous, total functions. No clock, no I/O, no logging."""
