"""The command lines of coding agents: which of their arguments stay when a conversation is taken up.

An agent that comes back must neither lose how it was set up (its model, its permissions) nor do
again what it was once told (a prompt on its command line). So every argument is known to be one
or the other, or the whole is called unsure, and a person decides. The options are those of the
agents' own references: Claude Code's ``cli-reference``, ``codex --help`` and ``codex resume --help``,
Gemini CLI's ``cli-reference`` and ``session-management``, aider's ``options`` page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decide.invocation import Invocation, invocations

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A conversation id: nothing in it means anything to a shell."""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Agent:
    """How one agent reads its command line."""

    ids: tuple[str, ...] = ()
    """Options whose value names the conversation; the first that has one wins. Not kept."""
    id_command: str = ""
    """The first word after which the next one names the conversation. Not kept."""
    id_form: re.Pattern[str] = ID
    """What such a value has to look like; others are names, numbers or the word ``latest``."""
    forks: frozenset[str] = frozenset()
    """Switches with which the conversation in use is another than the one that is named. Not kept."""
    forgotten: frozenset[str] = frozenset()
    """Other switches about which conversation it is. Not kept."""
    told: frozenset[str] = frozenset()
    """Options whose value is something to do or to show at once. Not kept."""
    valued: frozenset[str] = frozenset()
    """Options with one value. Kept."""
    several: frozenset[str] = frozenset()
    """Options with any number of values. Kept."""
    switches: frozenset[str] = frozenset()
    """Options without a value. Kept."""
    once: frozenset[str] = frozenset()
    """Options with which it is no conversation: it answers and ends, or serves something else."""
    commands: frozenset[str] = frozenset()
    """First words with which it is no conversation."""
    files: bool = False
    """Its other words are files, which it keeps, and not a prompt, which must not be sent again."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """An agent's arguments, sorted."""

    flags: tuple[str, ...] = ()
    """What stays."""
    id: str = ""
    """The conversation in use, if the arguments name it."""
    talks: bool = True
    """It is a conversation, and not a single answer or another service."""
    sure: bool = True
    """Every argument is understood: no forgotten prompt can be among those that stay."""


def find_agent(argv: tuple[str, ...]) -> tuple[str, Invocation] | None:
    """The name of the agent that the argv runs, and how it was called."""
    for each in invocations(argv):
        if each.name in AGENTS:
            return each.name, each
    return None


def sort_arguments(name: str, arguments: Sequence[str]) -> Arguments:
    """The arguments of a known agent."""
    reading = _Reading(AGENTS[name])
    reading.read(list(arguments))
    return reading.sorted()


@dataclass(slots=True)
class _Reading:
    """One pass over the arguments, from left to right."""

    agent: Agent
    flags: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    words: int = 0
    id_is_next: bool = False
    forked: bool = False
    talks: bool = True
    sure: bool = True

    def read(self, rest: list[str]) -> None:
        while rest:
            word = rest.pop(0)
            if word == "--":
                self._words(rest)
                return
            if word.startswith("-") and word != "-":
                self._option(word, rest)
            else:
                self._word(word)

    def sorted(self) -> Arguments:
        order = (*self.agent.ids, self.agent.id_command)
        named = next((self.ids[option] for option in order if option in self.ids), "")
        # A fork goes by the id that it was given at its start, and else by none that is known here.
        if self.forked and order[0] not in self.ids:
            named = ""
        return Arguments(tuple(self.flags), named, self.talks, self.sure)

    def _option(self, word: str, rest: list[str]) -> None:
        option, attached, value = word.partition("=")
        agent = self.agent
        if option in agent.ids:
            self._id(option, value if attached else _take_value(rest))
        elif option in agent.once:
            self.talks = False
        elif option in agent.told:
            if not attached:
                _take_value(rest)
        elif option in agent.forks:
            self.forked = True
        elif option in agent.forgotten:
            pass
        else:
            self._keep(option, word, bool(attached), rest)

    def _keep(self, option: str, word: str, attached: bool, rest: list[str]) -> None:
        agent = self.agent
        self.flags.append(word)
        if attached or option in agent.switches:
            return
        if option in agent.several:
            while rest and not rest[0].startswith("-"):
                self.flags.append(rest.pop(0))
        elif option in agent.valued:
            if rest:
                self.flags.append(rest.pop(0))
        elif rest and not rest[0].startswith("-"):
            # Unknown here, so the next word may be its value, or a prompt.
            self.sure = False
            self.flags.append(rest.pop(0))

    def _word(self, word: str) -> None:
        first, id_is_here = not self.words, self.id_is_next
        self.id_is_next = first and bool(self.agent.id_command) and word == self.agent.id_command
        self.words += 1
        if self.agent.files:
            self.flags.append(word)
        elif first and word in self.agent.commands:
            self.talks = False
        elif id_is_here:
            self._id(self.agent.id_command, word)

    def _words(self, rest: list[str]) -> None:
        if self.agent.files and rest:
            self.flags.extend(("--", *rest))

    def _id(self, option: str, value: str) -> None:
        if self.agent.id_form.fullmatch(value):
            self.ids[option] = value


def _take_value(rest: list[str]) -> str:
    return rest.pop(0) if rest and not rest[0].startswith("-") else ""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AGENTS: Mapping[str, Agent] = {
    "claude": Agent(
        ids=("--session-id", "--resume", "-r"),
        forks=_words("--fork-session"),
        forgotten=_words("-c --continue --tmux"),
        told=_words("--from-pr -w --worktree --remote --teleport --prefill"),
        valued=_words(
            "--model --fallback-model --agent --agents --permission-mode --permission-prompt-tool"
            " --append-system-prompt --append-system-prompt-file --system-prompt --system-prompt-file"
            " --settings --setting-sources --plugin-dir --effort -n --name --debug-file --teammate-mode"
            " --max-turns --max-budget-usd --thinking --max-thinking-tokens"
        ),
        several=_words(
            "--add-dir --allowedTools --allowed-tools --disallowedTools --disallowed-tools --tools"
            " --mcp-config --betas --channels"
        ),
        switches=_words(
            "--dangerously-skip-permissions --allow-dangerously-skip-permissions --ide --chrome --no-chrome"
            " --verbose --strict-mcp-config --disable-slash-commands --mcp-debug --bare --brief"
        ),
        once=_words("-p --print -h --help -v --version --init-only --output-format --input-format"),
        commands=_words(
            "agents auth auto-mode config doctor install mcp migrate-installer plugin plugins"
            " remote-control setup-token update upgrade"
        ),
    ),
    "codex": Agent(
        id_command="resume",
        id_form=UUID,
        forgotten=_words("--last --all"),
        told=_words("-i --image"),
        valued=_words(
            "-c --config --enable --disable -m --model --local-provider -p --profile -s --sandbox"
            " -a --ask-for-approval -C --cd --add-dir --remote"
        ),
        switches=_words(
            "--oss --full-auto --dangerously-bypass-approvals-and-sandbox --yolo --search --no-alt-screen"
        ),
        once=_words("-h --help -V --version"),
        commands=_words(
            "exec e review login logout mcp mcp-server app-server app completion sandbox debug apply a"
            " cloud cloud-tasks features help proto fork execpolicy responses-api-proxy stdio-to-uds"
        ),
    ),
    "gemini": Agent(
        ids=("--session-id", "--resume", "-r"),
        id_form=UUID,
        told=_words("-i --prompt-interactive -w --worktree"),
        valued=_words(
            "-m --model --approval-mode --policy --admin-policy --sandbox-image --proxy --telemetry-target"
        ),
        several=_words("--allowed-mcp-server-names --allowed-tools -e --extensions --include-directories"),
        switches=_words(
            "-d --debug -s --sandbox -y --yolo --screen-reader --skip-trust --raw-output"
            " --accept-raw-output-risk"
        ),
        once=_words(
            "-p --prompt -h --help -v --version -l --list-extensions --list-sessions --delete-session"
            " --acp --experimental-acp --experimental-zed-integration -o --output-format"
        ),
        commands=_words(
            "mcp extension extensions skill skills hook hooks update rewind sandbox settings telemetry"
            " token-caching"
        ),
    ),
    "aider": Agent(
        forgotten=_words("--restore-chat-history --no-restore-chat-history"),
        valued=_words(
            "--model --weak-model --editor-model --editor-edit-format --edit-format --chat-mode"
            " --reasoning-effort --thinking-tokens --model-settings-file --model-metadata-file --alias"
            " --set-env --api-key --openai-api-key --anthropic-api-key --openai-api-base --openai-api-type"
            " --openai-api-version --openai-api-deployment-id --openai-organization-id --timeout --env-file"
            " --max-chat-history-tokens --cache-keepalive-pings --map-tokens --map-refresh"
            " --map-multiplier-no-files --input-history-file --chat-history-file --llm-history-file"
            " --user-input-color --tool-output-color --tool-error-color --tool-warning-color"
            " --assistant-output-color --code-theme --aiderignore --commit-prompt --commit-language"
            " --lint-cmd --test-cmd --file --read --chat-language --encoding -c --config --line-endings"
            " --editor --voice-format --voice-language --voice-input-device --notifications-command"
            " --analytics-log"
        ),
        switches=_words(
            "--architect --auto-accept-architect --no-auto-accept-architect --verify-ssl --no-verify-ssl"
            " --show-model-warnings --no-show-model-warnings --check-model-accepts-settings"
            " --cache-prompts --no-cache-prompts --dark-mode --light-mode --pretty --no-pretty --stream"
            " --no-stream --show-diffs --git --no-git --gitignore --no-gitignore --subtree-only"
            " --auto-commits --no-auto-commits --dirty-commits --no-dirty-commits --attribute-author"
            " --no-attribute-author --attribute-committer --no-attribute-committer --dry-run --no-dry-run"
            " --skip-sanity-check-repo --watch-files --no-watch-files --copy-paste --no-copy-paste"
            " --auto-lint --no-auto-lint --auto-test --no-auto-test --analytics --no-analytics"
            " --analytics-disable --vim --check-update --no-check-update --show-release-notes"
            " --no-show-release-notes --yes --yes-always -v --verbose --suggest-shell-commands"
            " --no-suggest-shell-commands --fancy-input --no-fancy-input --multiline --no-multiline"
            " --detect-urls --no-detect-urls --notifications --no-notifications --opus --sonnet --haiku"
            " --4 -4 --4o --mini --4-turbo --35turbo --deepseek --o1-mini --o1-preview"
        ),
        once=_words(
            "-m --message --msg -f --message-file --load --exit --commit --lint --test --apply"
            " --apply-clipboard-edits --upgrade --update --version --just-check-update --install-main-branch"
            " --list-models --models --show-repo-map --show-prompts --help -h --gui --browser"
            " --shell-completions"
        ),
        files=True,
    ),
}
"""By the bare name of the program."""
