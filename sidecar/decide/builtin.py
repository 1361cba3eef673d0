"""The rules that are shipped: how well-known programs come back without being asked.

Harmless is what only shows, edits, serves or waits for a person. What takes words to run from its
command line (a remote command, an editor's ``-c``, a watcher's hooks) is not, and is held.
"""

from __future__ import annotations

from sidecar.model.policy import ResumeRule

_WORD = r"('[^']*'|[^' ]+)"
_SSH_OPTION = (
    rf"( -[46AaCgKkNnqTtvXxYy]+| -[BbcDEeFIiJLlmpRS] ?{_WORD}"
    rf"| -o ?(?!(?i:'?\s*(RemoteCommand|LocalCommand|ProxyCommand))){_WORD})"
)
_VIM_ACTS = (
    r"(?!.* '?(-c|--cmd|-s|-w|-W|-e|-es|-E|-Es|-|--embed|--headless|--remote\S*|-l|\+[^0-9/ ]\S*)'?( |$))"
)
_PTW_ACTS = r"(?!.* --(runner|on\w+|beforerun|afterrun))"
_PYTHON_SWITCHES = r"( -[bBdEIOqsSuvx]+)*"

BUILTIN: tuple[ResumeRule, ...] = (
    ResumeRule(
        r"^claude( |$)", "{program} {flags} --resume {id}", "{program} {flags} --continue", heavy=True
    ),
    ResumeRule(
        r"^codex( |$)", "{program} resume {id} {flags}", "{program} resume --last {flags}", heavy=True
    ),
    ResumeRule(
        r"^gemini( |$)", "{program} {flags} --resume {id}", "{program} {flags} --resume latest", heavy=True
    ),
    ResumeRule(r"^aider( |$)", "", "{program} --restore-chat-history {flags}", heavy=True),
    ResumeRule(r"^(top|htop|btop)( |$)", "{argv}"),
    ResumeRule(r"^tail (.* )?(-[0-9a-zA-Z]*[fF][0-9a-zA-Z]*|--follow(=\w+)?)( |$)", "{argv}"),
    ResumeRule(r"^less (.* )?('[^-+']|[^-+' ])", "{argv}"),
    ResumeRule(r"^(man|watch) ", "{argv}"),
    ResumeRule(rf"^(vi|vim|nvim){_VIM_ACTS}( |$)", "{argv}"),
    ResumeRule(rf"^ssh{_SSH_OPTION}* [^-' ][^' ]*{_SSH_OPTION}*$", "{argv}"),
    ResumeRule(rf"^python[0-9.]*{_PYTHON_SWITCHES} -m http\.server( |$)", "{argv}"),
    ResumeRule(
        rf"^(python[0-9.]*{_PYTHON_SWITCHES}|i?python[0-9.]* -i|ipython[0-9.]*|node|nodejs)$", "{argv}"
    ),
    ResumeRule(
        rf"^(ptw|pytest-watch|pytest-watcher|(python[0-9.]* -m )?pytest_watch){_PTW_ACTS}( |$)",
        "{argv}",
        heavy=True,
    ),
    ResumeRule(r"^(python[0-9.]* -m )?(pytest|py\.test) (.* )?(-f|--looponfail)( |$)", "{argv}", heavy=True),
)
"""What may run again without being asked: programs that only show, edit, serve or wait for a person."""
