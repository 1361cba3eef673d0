"""What a look alone does not show: frozen programs, damaged shapes, missed heartbeats.

Each examiner looks for failures of its own kind and is asked about them again before anything is
done, and afterwards for the verdict. One that fails never hides what the others find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.decide.detect import Expected
from sidecar.flow.ports import CheckExaminer, Examiner, Logbook
from sidecar.flow.supervise import Supervisor
from sidecar.model.check import Check
from sidecar.model.incident import Cause, Failure, Finding
from sidecar.model.record import Action
from sidecar.model.session import Look


class Examination:
    """All examiners as one."""

    def __init__(
        self,
        examiners: Sequence[Examiner],
        supervisor: Supervisor,
        log: Logbook,
        checks: CheckExaminer | None = None,
    ) -> None:
        """``supervisor`` answers for what has rules of its own, and ``checks`` is the one of the examiners
        that a person can ask about one check."""
        self.supervisor = supervisor
        self._examiners = tuple(examiners)
        self._checks = checks
        self._log = log
        self._owners: Mapping[Cause, Examiner] = {
            cause: examiner for examiner in examiners for cause in examiner.causes
        }
        self._found: dict[Failure, Finding] = {}

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> tuple[Finding, ...]:
        """What all of them find at this look."""
        findings: list[Finding] = []
        for examiner in self._examiners:
            try:
                findings.extend(await examiner.examine(look, free))
            except Exception as error:
                self._log.say(
                    Action.TASK_FAILED,
                    level="error",
                    task=type(examiner).__name__,
                    error=repr(error),
                    hint=getattr(error, "hint", ""),
                )
        self._found = {finding.failure: finding for finding in findings}
        return tuple(findings)

    async def ask(self, check: Check, look: Look) -> Finding | None:
        """What is wrong with a check now, for somebody who wants to know; None if it passes."""
        finding = await self._checks.ask(check, look) if self._checks is not None else None
        if finding is not None:
            self._found[finding.failure] = finding
        return finding

    def finding(self, failure: Failure) -> Finding | None:
        """The finding of this failure, if it came from the last examination."""
        return self._found.get(failure)

    def owns(self, finding: Finding) -> bool:
        """Whether an examiner answers for it, and not the comparison of two looks."""
        return bool(finding.program) or finding.cause in self._owners

    async def still(self, finding: Finding, look: Look) -> bool:
        """Whether that is so at this look; only for what :meth:`owns` says yes to."""
        if finding.program:
            return await self.supervisor.still(finding, look)
        return await self._owners[finding.cause].still(finding, look)
