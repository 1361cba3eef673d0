"""The door to what a broken pane still shows: its text, its processes, where they wait, the machine."""

from sidecar.edges.diagnostics.door import DiagnosticsDoor as DiagnosticsDoor
