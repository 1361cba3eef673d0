import shutil
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.decide.shells import LONGEST_LINE, command_line, is_shell, shell_name, typeable

ARGUMENTS = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")),
    st.sampled_from(
        ["", "=ls", "a=b", "!x", "~", "it's", "\\", "\\x41", "\x1b1f", "$HOME", "`id`", "#(id)", "^a^b", "*"]
    ),
)


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        (["bash"], True),
        (["-bash"], True),
        (["/usr/bin/zsh", "-l", "-i"], True),
        (["bash", "--login", "--norc"], True),
        (["bash", "--rcfile", "/tmp/rc", "-i"], True),
        (["bash", "-o", "vi"], True),
        (["-/bin/fish"], True),
        (["busybox", "sh", "-l"], True),
        (["pwsh", "-NoLogo"], True),
        ([], False),
        ([""], False),
        (["bash", "-c", "top"], False),
        (["bash", "-c"], False),
        (["bash", "-lc", "top"], False),
        (["sh", "script.sh"], False),
        (["sh", ""], False),
        (["fish", "--command=top"], False),
        (["busybox"], False),
        (["busybox", "top"], False),
        (["vim"], False),
        (["bashful"], False),
    ],
)
def test_which_argv_is_an_interactive_shell(argv: list[str], answer: bool) -> None:
    assert is_shell(argv) is answer


@pytest.mark.parametrize(
    ("path", "name"), [("/bin/bash", "bash"), ("-zsh", "zsh"), ("-/bin/sh", "sh"), ("", "")]
)
def test_the_bare_name(path: str, name: str) -> None:
    assert shell_name(path) == name


@pytest.mark.parametrize(
    ("shell", "argv", "line"),
    [
        ("/bin/bash", ["vim", "a b.txt"], "vim 'a b.txt'"),
        ("/bin/bash", ["echo", ""], "echo ''"),
        ("/bin/bash", ["echo", "it's"], """echo 'it'"'"'s'"""),
        ("/bin/bash", ["echo", "a\tz"], r"echo $'a\x09z'"),
        ("/bin/bash", ["echo", "\nb"], r"echo $'\x0a\x62'"),
        ("/bin/bash", ["echo", "\n-b'\\"], r"echo $'\x0a-b\'\\'"),
        ("/bin/bash", ["cat", "caf\udce9"], r"cat $'caf\xe9'"),
        ("/bin/bash", ["cat", "\x9b"], r"cat $'\xc2\x9b'"),
        ("/bin/bash", ["cat", "é"], "cat 'é'"),
        ("/bin/zsh", ["echo", "=ls"], "echo '=ls'"),
        ("/bin/zsh", ["a=b", "c=d"], "'a=b' c=d"),
        ("/bin/bash", ["cat", "\ud800"], None),
        ("/bin/bash", ["cat", "a\0b"], None),
        ("/bin/sh", ["echo", "a\tb"], None),
        ("/bin/dash", ["cat", "caf\udce9"], None),
        ("/bin/dash", ["cat", "a b"], "cat 'a b'"),
        ("/usr/bin/fish", ["echo", "it's a \\ b"], r"echo 'it\'s a \\ b'"),
        ("/usr/bin/fish", ["echo", "a\x1bb"], None),
        ("/usr/bin/fish", ["cat", "caf\udce9"], None),
        ("/bin/tcsh", ["echo", "a b"], "echo 'a b'"),
        ("/bin/tcsh", ["echo", "a!b"], None),
        ("/usr/bin/nu", ["top", "-d", "5"], "top -d 5"),
        ("/usr/bin/nu", ["echo", "a b"], None),
        ("/opt/unknown", ["echo", "$x"], None),
        ("/bin/bash", ["echo", "x" * LONGEST_LINE], None),
    ],
)
def test_an_argv_as_a_line(shell: str, argv: list[str], line: str | None) -> None:
    assert command_line(argv, shell) == line


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("top -d 5", True),
        ("é", True),
        ("a\nb", False),
        ("a\x1b[A", False),
        ("a\x7f", False),
        ("\udce9", False),
    ],
)
def test_what_can_be_typed(line: str, answer: bool) -> None:
    assert typeable(line) is answer


@given(argv=st.lists(st.text(), min_size=1), shell=st.sampled_from(["bash", "sh", "fish", "tcsh", "nu", ""]))
def test_a_line_never_acts_on_the_terminal(argv: list[str], shell: str) -> None:
    line = command_line(argv, shell)
    assert line is None or typeable(line)


def read_back(shell: str, line: str) -> Sequence[bytes]:
    done = subprocess.run(
        [shell, "-c", f"printf '%s\\0' {line}"],
        capture_output=True, timeout=20, check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "ksh", "mksh", "fish"])
def test_a_real_shell_reads_the_same_arguments(name: str) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed")

    @settings(max_examples=60, deadline=None)
    @given(argv=st.lists(ARGUMENTS, min_size=1, max_size=6))
    def reads(argv: list[str]) -> None:
        line = command_line(argv, shell)
        if line is not None:
            assert read_back(shell, line) == [arg.encode("utf-8", "surrogateescape") for arg in argv]
        else:
            assert name not in ("bash", "zsh", "ksh")

    reads()
