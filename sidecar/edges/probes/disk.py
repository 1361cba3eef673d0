"""Space and inodes of disks, as ``df`` counts them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sidecar.edges.probes.finding import Finding, below, limit, percent, size, worst
from sidecar.model.probe import ProbeFault
from sidecar.model.probe_machine import DiskProbe


def judged(probe: DiskProbe, path: str, facts: os.statvfs_result) -> Finding:
    """The worst that is found about one of the paths."""
    return worst(list(_findings(probe, path, facts)))


def _findings(probe: DiskProbe, path: str, facts: os.statvfs_result) -> Iterator[Finding]:
    used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    free = facts.f_bavail * facts.f_frsize
    # What is kept for root counts for nobody, as with df.
    share = used / (used + free) if used + free else 0.0
    fact = f"{path} {percent(share)} full ({size(free)} of {size(used + free)} free)"
    if probe.free is not None and free < probe.free:
        yield Finding(ProbeFault.BELOW_LIMIT, f"{fact}; {size(probe.free)} have to be free", share)
    if probe.above is not None:
        yield below(share, probe.above, fact, limit(probe.above))
    else:
        yield Finding(None, fact, share)
    if probe.inodes is not None and facts.f_files:
        # File systems without a number of inodes give 0.
        taken = 1 - facts.f_favail / facts.f_files
        words = f"{path} {percent(taken)} of the inodes used ({facts.f_favail} of {facts.f_files} free)"
        yield below(taken, probe.inodes, words, limit(probe.inodes))
