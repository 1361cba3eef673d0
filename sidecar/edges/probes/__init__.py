"""The doors to what programs answer and need: one file for each way of asking.

Every probe gives a value and never raises for what it found; it ends within its time, whatever is
at the other end.
"""
