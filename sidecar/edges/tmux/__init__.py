"""The tmux door. ``run`` is the only module that starts a tmux process."""
