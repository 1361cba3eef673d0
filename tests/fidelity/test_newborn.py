"""A server that the sidecar starts is like the lost one; one that was there already is left as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.errors import TmuxRefused
from tests.fidelity.conftest import Patient

CONFIG = """
set-environment -g PATH "/added:$PATH"
set-option -g status-left 'of the file'
set-option -g @plugin 'of the file'
set-option -g update-environment[3] OF_THE_FILE
set-hook -g client-attached[1] 'display-message file'
bind-key F5 display-message 'of the file'
bind-key F6 display-message 'of the file'
"""
AT_RUN_TIME = (
    "set-option -g status-left '#(touch pwned)'",
    "set-option -g -u @plugin",
    "set-option -g update-environment 'A B'",
    "set-hook -g -u client-attached",
    "set-hook -gw pane-died[7] 'display-message \"b c\"'",
    "set-option -s escape-time 7",
    "set-environment -g LATER 'a b'",
    "unbind-key F5",
    "bind-key F6 display-message 'at run time'",
    "bind-key -r F7 kill-pane",
)


async def start(patient: Patient, config: str, *lines: str) -> Path:
    """A server with a configuration file, and a session in it."""
    file = patient.tmux.folder / "tmux.conf"
    file.write_text(config)
    client = await patient.runner.start(
        patient.runner.argv("-f", str(file), "new-session", "-d", "-s", "web", "sleep 1000")
    )
    await patient.runner.finish(client, "new-session")
    await patient.do(*lines)
    return file


async def test_what_was_changed_at_run_time_is_changed_again(patient: Patient) -> None:
    file = await start(patient, CONFIG, *AT_RUN_TIME)
    assert await patient.round_trip() == []
    look = await patient.door.look()
    assert look.config_files == str(file)
    assert not (patient.tmux.folder / "pwned").exists()


async def test_a_variable_that_the_file_adds_to_is_added_to_once(patient: Patient) -> None:
    await start(patient, CONFIG)
    path = patient.tmux.run("show-environment", "-g", "PATH")
    assert path.count("/added:") == 1
    assert await patient.round_trip() == []
    assert patient.tmux.run("show-environment", "-g", "PATH") == path


async def test_a_server_that_was_there_already_is_left_as_it_is(patient: Patient) -> None:
    await start(patient, CONFIG, *AT_RUN_TIME)
    before = await patient.take()
    await patient.lose()
    await patient.do("new-session -d -s keeper 'sleep 1000'", "set-option -g status-left mine")
    questions = (("show-options", "-g"), ("list-keys",), ("show-hooks", "-gw"), ("show-environment", "-g"))
    shown = [patient.tmux.run(*words) for words in questions]
    await patient.restore(before.values())
    assert [patient.tmux.run(*words) for words in questions] == shown


async def test_what_a_server_does_not_know_spoils_nothing_else(patient: Patient) -> None:
    await start(patient, "")
    capture = (await patient.take())["web"]
    settings = capture.image.origin.settings
    odd = replace(
        settings,
        server=(*settings.server, ("no-such-option", "1")),
        session=tuple((name, "2" if name == "status" else value) for name, value in settings.session),
        bindings=(
            "bind-key -T root F5 no-such-command {",
            *settings.bindings,
            "bind-key -T root F6 kill-pane",
        ),
    )
    await patient.lose()
    origin = replace(capture.image.origin, settings=odd)
    await patient.restore([replace(capture, image=replace(capture.image, origin=origin))])
    assert patient.tmux.run("show-options", "-gv", "status") == "2"
    assert "kill-pane" in patient.tmux.run("list-keys", "-T", "root", "F6")


async def test_a_server_that_would_end_without_clients_is_made_to_stay(patient: Patient) -> None:
    await patient.do("new-session -d -s web 'sleep 1000'")
    capture = (await patient.take())["web"]
    settings = capture.image.origin.settings
    ending = replace(
        settings,
        server=tuple((n, "on" if n == "exit-unattached" else v) for n, v in settings.server),
        session=tuple((n, "on" if n == "destroy-unattached" else v) for n, v in settings.session),
    )
    await patient.lose()
    origin = replace(capture.image.origin, settings=ending)
    await patient.restore([replace(capture, image=replace(capture.image, origin=origin))])
    assert patient.tmux.sessions() == {"web"}


async def test_a_server_that_nothing_was_built_in_does_not_stay(patient: Patient) -> None:
    await patient.do("new-session -d -s web 'sleep 1000'")
    capture = (await patient.take())["web"]
    first = capture.image.windows[0]
    clash = replace(capture.image, windows=(first, replace(first)))
    await patient.lose()
    with pytest.raises(TmuxRefused, match="in use"):
        await patient.door.rebuild(clash, {})
    assert patient.tmux.sessions() == set()
    await patient.restore([capture])
    assert patient.tmux.sessions() == {"web"}
