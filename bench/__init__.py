"""Benchmarks: what the sidecar costs, beside the bare tmux commands for the same thing.

``python -m bench [names]``, or ``make bench ARGS="names"``. Every ratio is to a baseline that is
measured in the same run, in turns with the thing itself, because a figure alone says more about
the machine than about the code. Everything runs against private tmux servers in temporary folders
and leaves nothing behind.

=============  ====================================================================
line, report   a figure with its baseline and target; the table and the JSON
measure        turns, medians, stillness
machine        memory and CPU of a process, from /proc
shapes         sessions as hand-written tmux scripts, timed to the end of their start
stage          private servers, a service beside them, doors opened onto them
cases/         the cases; ``cases/__init__`` is the registry
=============  ====================================================================
"""
