"""The doors to what checks let be done: signals, commands, units, old files, other people's services."""
