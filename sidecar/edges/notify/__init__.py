"""The doors to people: a file for each kind of channel, and the messenger that knows them all."""

from sidecar.edges.notify.messenger import LocalMessenger

__all__ = ["LocalMessenger"]
