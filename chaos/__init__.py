"""Injuries, people and checks that prove what the sidecar promises; on private tmux servers only."""
