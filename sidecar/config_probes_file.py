"""Probes of files from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar import config_units as units
from sidecar.config_fields import Reader, Wrong, duration, one_of, read_as, regex, size, switch
from sidecar.config_probe_form import Form, tell_ages, tell_texts
from sidecar.model.probe import ProbeKind
from sidecar.model.probe_file import FileProbe, Part


def _file(**values: Any) -> FileProbe:
    probe = FileProbe(**values)
    if not probe.exists and (further := sorted(values.keys() - {"path", "exists"})):
        raise Wrong(f"{further[0]} is about a file that is there, and exists is false: it would never count")
    if probe.least is not None and probe.most is not None and probe.least > probe.most:
        raise Wrong(
            f"least ({units.show_size(probe.least)}) is more than most ({units.show_size(probe.most)}), "
            "so no size would be right"
        )
    tell_ages(probe)
    tell_texts(probe)
    return probe


_FILE: Mapping[str, Reader[Any]] = {
    "path": read_as(units.full_path),
    "exists": switch,
    "younger": duration("1s", "3650d"),
    "older": duration("1s", "3650d"),
    "least": size("1B", "1000000TB"),
    "most": size("0B", "1000000TB"),
    "match": regex,
    "no_match": regex,
    "part": one_of(Part, "part"),
}
FILES: Mapping[ProbeKind, Form] = {
    ProbeKind.FILE: Form(FileProbe, _FILE, "path", required=("path",), build=_file),
}
"""By kind, which is also the key in the file."""
