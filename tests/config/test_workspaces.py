"""Workspace files: what is wrong in them, and which sessions are declared all the same."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from sidecar.config import Declared, SessionSettings
from sidecar.config_tmuxp import _COMMAND, _PANE, _SESSION, _WINDOW
from sidecar.config_workspaces import load_workspaces
from sidecar.model.workspace import Command

HERE = Path(__file__).parent
CUT_OFF = "while parsing a flow node expected the node content, but found '<stream end>'"
BAD = sorted(path for path in (HERE / "bad_workspaces").iterdir() if path.suffix != ".txt")


def load(*paths: Path, **settings: tuple[str, ...]) -> Declared:
    return load_workspaces(SessionSettings(workspaces=tuple(map(str, paths)), **settings))  # type: ignore[arg-type]


def told(declared: Declared, folder: Path) -> list[str]:
    return [str(fault).replace(f"{folder}/", "").replace(CUT_OFF, "...") for fault in declared.faults]


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.name)
def test_every_fault_has_its_line_and_its_sentence(file: Path) -> None:
    declared = load(file)
    wanted = file.with_name(f"{file.name}.txt").read_text().replace(CUT_OFF, "...").splitlines()
    assert told(declared, file.parent) == wanted
    only_noted = file.name == "unknown_keys.yaml"
    assert list(declared.sessions) == (["a"] if only_noted else [])
    assert declared.broken == (frozenset() if only_noted else {str(file)})


def test_every_bad_file_has_its_sentences() -> None:
    sentences = {path.name for path in (HERE / "bad_workspaces").glob("*.txt")}
    assert sentences == {f"{file.name}.txt" for file in BAD}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_yaml", ".yaml")).write_text(text)
    return folder


def session(name: str) -> str:
    return f"session_name: {name}\nwindows: [{{}}]\n"


def test_faults_of_one_file_stop_no_other(tmp_path: Path) -> None:
    folder = write(
        tmp_path, a_yaml="session_name: [", b_yaml=session("b"), c_yaml="windows: []", d_yaml=session("d")
    )
    declared = load(folder)
    assert list(declared.sessions) == ["b", "d"]
    assert told(declared, tmp_path) == [
        "a.yaml:1: is not YAML: ...",
        "c.yaml:1: windows: is empty: a session has at least one window",
        "c.yaml:1: needs the key `session_name`",
    ]
    assert declared.broken == {f"{folder}/a.yaml", f"{folder}/c.yaml"}


def test_a_name_counts_where_it_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "web")
    folder = write(tmp_path, a_yaml=session("web"), b_yaml=f"\n{session('$NAME')}", c_yaml=session("api"))
    declared = load(folder)
    assert {name: one.file for name, one in declared.sessions.items()} == {
        "web": f"{folder}/a.yaml",
        "api": f"{folder}/c.yaml",
    }
    assert told(declared, tmp_path) == [
        "b.yaml:2: session_name: 'web' is declared already, in a.yaml:1",
    ]


def test_a_session_that_is_not_managed_is_not_declared(tmp_path: Path) -> None:
    folder = write(tmp_path, a_yaml=session("web"), b_yaml=session("web-2"), c_yaml=session("api"))
    declared = load(folder, manage=("web*",), ignore=("web-2",))
    assert (list(declared.sessions), declared.faults) == (["web"], ())


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", ".tmuxp.yaml", ".hidden.yaml", "_draft.yaml", "d.txt"):
        text = (
            '{"session_name": "c", "windows": [{}]}' if name == "c.json" else session(name.replace(".", "-"))
        )
        (tmp_path / name).write_text(text)
    write(tmp_path / "below", e_yaml=session("e"))
    assert list(load(tmp_path).sessions) == ["-tmuxp-yaml", "a-yaml", "b-yml", "c"]
    assert list(load(tmp_path / "_draft.yaml", tmp_path / "below").sessions) == ["_draft-yaml", "e"]


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    declared = load(tmp_path / "gone.yaml", tmp_path / "empty")
    assert told(declared, tmp_path) == [
        "gone.yaml: cannot be read: No such file or directory",
        "empty: holds no workspace files (.yaml, .yml, .json)",
    ]
    assert declared.broken == {f"{tmp_path}/gone.yaml", f"{tmp_path}/empty"}


def test_a_folder_of_yesmans_without_sessions(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "_draft.yaml").write_text(session("draft"))
    declared = load(tmp_path)
    assert list(map(str, declared.faults)) == [f"{tmp_path}: holds no session files and no projects"]


def test_a_broken_file_keeps_what_it_declared_before(tmp_path: Path) -> None:
    folder = write(tmp_path, a_yaml=session("web"), b_yaml=session("api"), c_yaml=session("gone"))
    earlier = load(folder)
    write(tmp_path, a_yaml="session_name: [", b_yaml=session("api-2"))
    (folder / "c.yaml").unlink()
    later = load(folder)
    assert list(later.sessions) == ["api-2"]
    assert list(later.keeping(earlier).sessions) == ["web", "api-2"]
    folder.rename(tmp_path.with_name("moved"))
    assert list(load(folder).keeping(earlier).sessions) == ["web", "api", "gone"]


def test_secrets_are_in_no_sentence(tmp_path: Path) -> None:
    secrets = 'environment: {TOKEN: "s3cret\\0", KEY: [s3cret]}\nwindows: [{panes: ["s3cret\\t"]}]\n'
    text = f"session_name: a\n{secrets}"
    declared = load(write(tmp_path, a_yaml=text))
    assert len(declared.faults) == 3
    assert "s3cret" not in str(declared.faults)


def test_several_lines_of_before_script_are_a_shells(tmp_path: Path) -> None:
    text = "before_script: |\n  echo a\n  echo b\n"
    one = load(write(tmp_path, a_yaml=text + session("a"))).sessions["a"]
    assert one.before_script == ("/bin/sh", "-e", "-c", "echo a\necho b")


def test_a_script_of_ones_own_lies_beside_the_file(tmp_path: Path) -> None:
    one = load(write(tmp_path, a_yaml="before_script: ./up 'a b' ~\n" + session("a"))).sessions["a"]
    assert one.before_script == (f"{tmp_path}/up", "a b", "~")


HOME = {
    "templates/django.yaml": """\
session_name: never this one
start_directory: "{{ start_directory | default('/srv') }}"
environment: {KEEP: kept, LEVEL: low}
windows:
- window_name: "{{ session_name }} of {{ OWNER }}"
  panes: [claude, {command: "serve {{port | default(\\"80\\")}}", name: server}]
""",
    "sessions/shop.yaml": "template_name: django\noverride: {environment: {LEVEL: high}}\n",
    "sessions/dev/front end.yml": "windows: [{panes: [{command: npm run dev, name: dev}]}]\n",
    "sessions/dev/api.yaml": "template_name: django\nsession_name: backend\nstart_directory: /opt\n",
    "sessions/dev/api.yml": "session_name: of the other ending\nwindows: [{}]\n",
    "sessions/_draft.yaml": "session_name: [",
    "projects.yaml": "sessions:\n  blog: {override: {windows: [{}]}}\n  wiki: {template_name: none}\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OWNER", "me")
    for name, text in HOME.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_yesmans_folder(home: Path) -> None:
    declared = load(home)
    assert told(declared, home) == [
        "projects.yaml:3: template_name: there is no template 'none' in templates"
    ]
    sessions = declared.sessions
    assert list(sessions) == ["blog", "backend", "shop", "dev-front end"]
    shop, backend = sessions["shop"], sessions["backend"]
    assert (shop.file, shop.cwd, backend.cwd) == (f"{home}/sessions/shop.yaml", "/srv", "/opt")
    assert dict(shop.environment) == {"KEEP": "kept", "LEVEL": "high"}
    (window,) = shop.windows
    assert window.name == "shop of me"
    assert [pane.title for pane in window.panes] == ["", "server"]
    assert window.panes[1].commands == (Command(" serve 80"),)
    assert backend.windows[0].panes[1].commands == (Command(" serve 80"),)
    assert sessions["dev-front end"].windows[0].panes[0].commands == (Command(" npm run dev"),)


def test_a_fault_of_a_template_tells_the_line_of_the_template(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OWNER")
    (home / "sessions/dev/api.yaml").write_text("template_name: other\noverride: {windows: 3}\n")
    (home / "templates/other.yml").write_text("layout: x\noptions: {a: b}\nenvironment: {1: x}\n")
    (home / "sessions/shop.yaml").write_text("template_name: ../secret\n")
    (home / "projects.yaml").write_text("blog: {template_name: django}\nwiki: [a]\n")
    assert told(load(home), home) == [
        "templates/django.yaml:5: windows[0].window_name: {{ OWNER }} has no value: "
        "it is no environment variable; write a default(...) here",
        "projects.yaml:2: wiki: has to be a mapping of keys to values, and is a list",
        "sessions/dev/api.yaml:2: windows: has to be a list, and is a number",
        "templates/other.yml:1: layout: has no effect: 'layout' is an unknown key. There are: session_name, "
        "start_directory, environment, options, global_options, before_script, shell_command_before, "
        "suppress_history, windows",
        "templates/other.yml:3: environment.1: '1' is no name of a variable",
        "sessions/shop.yaml:1: template_name: has to be the name of a file in templates/, without its ending",
    ]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("projects", "- a\n", "has to be a mapping of keys to values, and is a list"),
        ("projects", "sessions: 3\n", "sessions: has to be a mapping of keys to values, and is a number"),
        ("projects", "a: {b: 1, b: 2}\n", "b: is given twice"),
        ("projects", "a: {[b]: 1}\n", "a: a key has to be text, and this one is a list"),
        ("projects", "", "is empty"),
        ("sessions/a", "x: [", "is not YAML: ..."),
        ("sessions/a", "template_name: t\n", "template_name: templates/t.yaml is empty"),
    ],
)
def test_what_can_be_wrong_in_yesmans_folder(tmp_path: Path, name: str, text: str, fault: str) -> None:
    for folder in ("sessions", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "templates/t.yaml").write_text("# nothing\n")
    (tmp_path / f"{name}.yaml").write_text(text)
    declared = load(tmp_path)
    assert told(declared, tmp_path) == [f"{name}.yaml:1: {fault}"]
    assert declared.sessions == {}


WORDS = sorted(
    {*_SESSION, *_WINDOW, *_PANE, *_COMMAND, "windows", "panes", "template_name", "override", "<<"}
)
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
    | st.sampled_from([*WORDS, "web", "tiled", "~/x", "$HOME", "{{ session_name }}", "b25d,80x24,0,0,0"])
)  # fmt: skip
_documents = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(WORDS), _documents, max_size=5), st.sampled_from(["a.yaml", "a.json"]))
def test_any_document_declares_a_session_or_has_faults(document: dict[str, Any], name: str) -> None:
    text = json.dumps(document, default=str) if name == "a.json" else yaml.safe_dump(document)
    with TemporaryDirectory() as folder:
        for place in (Path(folder), Path(folder, "sessions"), Path(folder, "templates")):
            place.mkdir(exist_ok=True)
            (place / name).write_text(text)
        for declared in (load(Path(folder, name)), load(Path(folder))):
            assert declared.sessions or declared.faults
            assert all(fault.sentence for fault in declared.faults)


@given(st.text(st.characters() | st.sampled_from("{}[]:,-&*!|>'\"\\%@`<~ \n")))
def test_any_text_declares_a_session_or_has_faults(content: str) -> None:
    with TemporaryDirectory() as folder:
        for name in ("a.yaml", "a.json"):
            Path(folder, name).write_text(content, "utf-8", "surrogatepass")
            declared = load(Path(folder, name))
            assert declared.sessions or declared.faults
