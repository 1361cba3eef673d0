"""The windows: what the service shows and accepts over HTTP."""
