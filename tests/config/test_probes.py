"""Probes as they are written, and what they mean."""

from __future__ import annotations

import pytest

from sidecar import config_read
from sidecar.errors import ConfigInvalid
from sidecar.model.heal import PaneTarget, UnitManager
from sidecar.model.probe import CommandProbe, DnsProbe, HttpProbe, Probe, RecordType
from sidecar.model.probe_file import FileProbe, Part
from sidecar.model.probe_machine import (
    CpuProbe,
    DiskProbe,
    LoadProbe,
    MemoryProbe,
    PressureProbe,
    Resource,
    SwapProbe,
    Waiting,
)
from sidecar.model.probe_process import DescriptorsProbe, Never, ProcessProbe, Which
from sidecar.model.probe_tended import PaneProbe, UnitProbe, UnitState


def read(text: str) -> Probe:
    return config_read.parse(f"checks: [{{name: one, {text}}}]", "f").checks[0].probe


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        (
            "http: {url: 'https://a/', no_match: error, slower: 2s, expires: 14d}",
            HttpProbe("https://a/", no_match="error", slower=2.0, expires=14 * 86_400.0),
        ),
        ("dns: {name: a.b, expect: [10.0.0.1]}", DnsProbe("a.b", expect=("10.0.0.1",))),
        (
            "dns: {name: a.b, type: AAAA, expect: ['::0:1']}",
            DnsProbe("a.b", type=RecordType.AAAA, expect=("::1",)),
        ),
        (
            "dns: {name: a.b, type: MX, expect: [Mail.a.b.]}",
            DnsProbe("a.b", type=RecordType.MX, expect=("mail.a.b",)),
        ),
        ("command: [df, -h]", CommandProbe(("df", "-h"))),
        ("command: {shell: 'df | grep x', status: 1}", CommandProbe(shell="df | grep x", status=(1,))),
        (
            "command: {argv: [df], status: [0, 2], match: a, no_match: b}",
            CommandProbe(("df",), "", (0, 2), "a", "b"),
        ),
        ("file: /run/a", FileProbe("/run/a")),
        ("file: {path: /run/a, exists: false}", FileProbe("/run/a", False)),
        (
            "file: {path: /a, younger: 1d, older: 1m, least: 1kB, most: 1MB, match: a, no_match: b, "
            "part: head}",
            FileProbe("/a", True, 86_400.0, 60.0, 1000, 10**6, "a", "b", Part.HEAD),
        ),
        ("pane: 'api:web.0'", PaneProbe(PaneTarget("api", "web", 0))),
        (
            "pane: {target: 'api:1', match: ready, no_match: error, silent: 10m}",
            PaneProbe(PaneTarget("api", "1"), "ready", "error", 600.0),
        ),
        ("unit: nginx.service", UnitProbe("nginx.service")),
        (
            "unit: {unit: backup.service, manager: user, states: [inactive, active]}",
            UnitProbe("backup.service", UnitManager.USER, (UnitState.INACTIVE, UnitState.ACTIVE)),
        ),
        ("unit: {unit: a, states: failed}", UnitProbe("a", states=(UnitState.FAILED,))),
        ("memory: 85%", MemoryProbe()),
        ("memory: {above: 70.5%, cgroup: own}", MemoryProbe(0.705, "own")),
        ("memory: {cgroup: /sys/fs/cgroup/a}", MemoryProbe(cgroup="/sys/fs/cgroup/a")),
        ("swap: 50%", SwapProbe(0.5)),
        ("disk: /data", DiskProbe(("/data",), 0.9, None, 0.9)),
        ("disk: [/, /data]", DiskProbe(("/", "/data"))),
        ("disk: {path: /data}", DiskProbe(("/data",))),
        ("disk: {path: /data, free: 1GB}", DiskProbe(("/data",), None, 10**9, None)),
        ("disk: {path: [/, /a], above: 80%, inodes: 70%}", DiskProbe(("/", "/a"), 0.8, None, 0.7)),
        ("cpu: 95%", CpuProbe(0.95)),
        ("cpu: {cgroup: own}", CpuProbe(cgroup="own")),
        ("pressure: memory", PressureProbe(Resource.MEMORY)),
        (
            "pressure: {resource: io, waiting: full, above: 5%}",
            PressureProbe(Resource.IO, Waiting.FULL, 0.05),
        ),
        ("load: 2.5", LoadProbe(2.5)),
        ("load: {minutes: 15}", LoadProbe(minutes=15)),
        ("descriptors: 70%", DescriptorsProbe(0.7)),
        ("descriptors: {name: api, most: 500}", DescriptorsProbe(None, 500, Which("api"))),
        ("descriptors: {cmdline: '^api', above: 50%}", DescriptorsProbe(0.5, None, Which(cmdline="^api"))),
        ("process: nginx", ProcessProbe(Which("nginx"))),
        ("process: {pidfile: /run/a.pid}", ProcessProbe(Which(pidfile="/run/a.pid"))),
        ("process: {name: cron, most: 0}", ProcessProbe(Which("cron"), 0, 0)),
        (
            "process: {cmdline: 'worker', cgroup: /sys/fs/cgroup/a, least: 2, most: 4, younger: 1d, "
            "older: 5s, rss: 2GB, cpu: 250%, never: [zombie, blocked]}",
            ProcessProbe(
                Which(cmdline="worker", cgroup="/sys/fs/cgroup/a"),
                2,
                4,
                86_400.0,
                5.0,
                2 * 10**9,
                2.5,
                (Never.ZOMBIE, Never.BLOCKED),
            ),
        ),
    ],
)
def test_what_it_means(text: str, probe: Probe) -> None:
    assert read(text) == probe


def test_an_unknown_probe() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read("proccess: nginx")
    (fault,) = caught.value.faults
    assert fault.sentence.startswith("'proccess' is an unknown key; did you mean process? There are: ")
