"""The book on real files: what is stored comes back, what is damaged is never used."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.decide import retain
from sidecar.edges.store import Store, codec, migrations
from sidecar.edges.store.database import FILE, tables
from sidecar.errors import AlreadyRunning, CheckpointUnusable, Permanent, StoreUnavailable
from sidecar.model.incident import Asker, Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Difference, Expectation, Outcome, Plan, Strategy
from sidecar.model.policy import BreakerState, Call, Circuit, Lease, Retention
from sidecar.model.record import (
    Action,
    AlertIntake,
    Capture,
    Ending,
    KnownSession,
    Rehearsal,
    Settlement,
    SkipReason,
    Standing,
)
from sidecar.model.saga import Mandate
from sidecar.model.scrollback import Manifest, Piece, StoredText, digest_of
from sidecar.model.session import (
    Operation,
    SavedPane,
    SavedWindow,
    ServerOrigin,
    ServerSettings,
    SessionImage,
)

FINDING = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.SESSION),), 1.0),
    Cause.SERVER_KILLED,
    Intent.FAILURE,
    (),
    "origin",
)
PLAN = Plan("web", Strategy.RESTORE_CHECKPOINT, (), Expectation(None), FINDING)


class Bench:
    """A store in a folder, and how many checkpoints it found corrupt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corrupt = 0
        self.store = self.open()

    def open(self) -> Store:
        def corrupt(count: int) -> None:
            self.corrupt += count

        return Store(
            self.folder, SystemClock(), retain.keep,
            on_corrupt=corrupt, on_write=lambda seconds: None, on_audit=lambda rows: None,
        )  # fmt: skip

    def now(self) -> float:
        return SystemClock().wall()

    def tamper(self, sql: str, *values: object) -> None:
        """Change the file behind the store's back."""
        connection = sqlite3.connect(self.folder / FILE, isolation_level=None)
        connection.execute(sql, values)
        connection.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    yield bench
    bench.store.close()


def image(name: str = "web", words: str = "x") -> SessionImage:
    pane = SavedPane(0, "é\t", "/srv", "", ("-bash",), ("prog", "\udcff", words), True, "", "")
    window = SavedWindow(3, "w\n", "b25d,80x24,0,0,1", False, True, False, True, (pane,))
    return SessionImage(name, 80, 24, "/bin/bash", "", (("A", "1"), ("B", None)), (window,))


def with_text(*pieces: bytes, name: str = "web", taken: float = 1.0) -> Capture:
    """A session of one pane whose text is made of these pieces."""
    manifest = Manifest(tuple(Piece(digest_of(text), text.count(b"\n")) for text in pieces))
    digest = digest_of(manifest.encode())
    pane = SavedPane(0, "", "/", "", (), (), True, "", digest)
    window = SavedWindow(0, "w", "", False, True, False, True, (pane,))
    image = SessionImage(name, 80, 24, "", "", (), (window,))
    return Capture(image, "i", taken, {digest: manifest}, {digest_of(text): text for text in pieces})


def capture(name: str = "web", words: str = "x", taken: float = 1.0) -> Capture:
    return Capture(image(name, words), "boot/1/2/$3", taken)


def full() -> SessionImage:
    """An image with everything that version 2 has brought."""
    options = (("@x", "#(a)\udcff\n"), ("update-environment", None))
    settings = ServerSettings(options, options, options, ("bind-key -T prefix a send-keys a",))
    plain = image()
    (window,) = plain.windows
    pane = replace(window.panes[0], last=True, options=options)
    return replace(
        plain,
        windows=(replace(window, panes=(pane,), options=options, link="boot/1/2/@3"),),
        origin=ServerOrigin((("A", "1"),), "/x", "/f", settings),
        options=options,
        group="G",
        path="/p",
    )


@pytest.mark.parametrize("whole", [image(), full()])
def test_an_image_survives_its_text(whole: SessionImage) -> None:
    assert codec.decode(codec.encode(whole)) == whole


def test_a_text_of_the_first_version_is_read() -> None:
    """As the release before this one has written it, to the letter."""
    text = (
        '{"default_command":"","default_shell":"/bin/bash","environment":[["A","1"],["B",null]],"height":24,'
        '"name":"web","origin":{"config_files":"","cwd":"/","environment":[]},"version":1,"width":80,"windows":'
        '[{"active":true,"automatic_rename":true,"index":3,"last":false,"layout":"b25d,80x24,0,0,1","name":"w\\n",'
        '"panes":[{"active":true,"argv":["-bash"],"cwd":"/srv","index":0,"program":["prog","\\udcff","x"],'
        '"resume":"","scrollback":"","start_command":"","title":"\\u00e9\\t"}],"zoomed":false}]}'
    )
    assert codec.decode(text) == image()


def packed(settings: bytes) -> str:
    """An image whose server's settings are these bytes."""
    body = json.loads(codec.encode(image()))
    body["origin"]["settings"] = base64.b64encode(settings).decode()
    return json.dumps(body)


@pytest.mark.parametrize(
    "settings", [b"x", zlib.compress(b"{}"), zlib.compress(b"[1]"), zlib.compress(b"{}")[:-3]]
)
def test_settings_that_cannot_be_read_are_refused(settings: bytes) -> None:
    with pytest.raises(CheckpointUnusable):
        codec.decode(packed(settings))


def test_a_conversation_is_kept_and_an_image_without_one_is_read_as_before() -> None:
    plain = image()
    (window,) = plain.windows
    spoken = replace(plain, windows=(replace(window, panes=(replace(window.panes[0], conversation="a-1"),)),))
    assert codec.decode(codec.encode(spoken)) == spoken
    assert "conversation" not in codec.encode(plain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"version":2}',
        '{"version":3}',
        codec.encode(image()).replace('"index":3', '"index":"3"'),
    ],
)  # fmt: skip
def test_a_text_that_is_not_an_image_is_refused(text: str) -> None:
    with pytest.raises(CheckpointUnusable):
        codec.decode(text)


async def test_the_newest_checkpoint_comes_back(bench: Bench) -> None:
    await bench.store.add_checkpoint(capture(words="old"), Operation.STRUCTURE)
    stored = await bench.store.add_checkpoint(capture(words="new"), Operation.INTERVAL)
    assert await bench.store.newest_checkpoint("web") == stored
    assert await bench.store.newest_checkpoint("we") is None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE checkpoints SET body = replace(body, 'new', 'bad') WHERE id = 2",
        "UPDATE checkpoints SET checksum = 'x' WHERE id = 2",
        "UPDATE checkpoints SET operation = 'x' WHERE id = 2",
        "UPDATE checkpoints SET body = x'ff00' WHERE id = 2",
        "UPDATE checkpoints SET session = 'web', body = '' WHERE id = 2",
    ],
)
async def test_a_corrupt_checkpoint_is_quarantined_and_the_one_before_is_used(
    bench: Bench, damage: str
) -> None:
    good = await bench.store.add_checkpoint(capture(words="old"), Operation.STRUCTURE)
    await bench.store.add_checkpoint(capture(words="new"), Operation.INTERVAL)
    bench.tamper(damage)
    assert await bench.store.newest_checkpoint("web") == good
    assert bench.corrupt == 1
    (row, *_) = await bench.store.audit_rows(1)
    assert row.action is Action.CHECKPOINT_QUARANTINED
    assert await bench.store.newest_checkpoint("web") == good
    assert bench.corrupt == 1


async def test_scrollback_is_stored_once_and_never_given_back_wrong(bench: Bench) -> None:
    held = with_text(b"line\n" * 1000, b"end\n")
    (digest,) = held.manifests
    for _ in range(2):
        await bench.store.add_checkpoint(held, Operation.INTERVAL)
    assert await bench.store.scrollback(digest) == StoredText(b"line\n" * 1000 + b"end\n")
    assert (await bench.store.scrollback("0" * 64)).lost == "the whole text"
    bench.tamper("UPDATE scrollbacks SET packed = x'00'")
    assert (await bench.store.scrollback(digest)).lost == "the whole text"
    (total,) = await bench.store.totals()
    assert total.count == 2


async def test_pruning_keeps_the_newest_and_drops_unused_text(bench: Bench) -> None:
    for number in range(30):
        await bench.store.add_checkpoint(capture(words=str(number), taken=float(number)), Operation.INTERVAL)
    removed = await bench.store.prune(Retention(latest=5), 10 * 86_400.0)
    assert len(removed) == 25
    newest = await bench.store.newest_checkpoint("web")
    assert newest is not None
    assert newest.image == image(words="29")


async def test_what_pruning_leaves_within_the_file_is_told_as_room(bench: Bench) -> None:
    for number in range(30):
        text = with_text(bytes(f"{number}\n", "ascii") * 2_000, bytes(f"end {number}\n", "ascii") * 2_000)
        await bench.store.add_checkpoint(text, Operation.INTERVAL)
    before = await bench.store.spare_bytes()
    await bench.store.prune(Retention(latest=1, hourly_for=0.0, max_age=0.0), 1e9)
    assert await bench.store.spare_bytes() > before


async def test_the_write_lock_is_given_out_and_given_back(bench: Bench) -> None:
    await bench.store.ready_to_write()
    with sqlite3.connect(bench.folder / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await bench.store.ready_to_write()
        other.execute("ROLLBACK")
    other.close()
    await bench.store.ready_to_write()


async def test_sessions_circuits_and_answers_survive_a_restart(bench: Bench) -> None:
    known = KnownSession("web", Standing.LIVE, "i", True, 5.0)
    state = BreakerState(
        Circuit.HALF_OPEN, (Call(1.0, True, False, "web"), Call(2.0, False, True)), 3.0, False,
        (Lease("a", 9.0),), 1, 4.0,
    )  # fmt: skip
    await bench.store.remember(known, Action.SESSION_ADOPTED)
    await bench.store.save_circuits({"respawn_pane": state, "custom:web": state}, (), 1.0)
    await bench.store.save_circuits({}, ("custom:web",), 1.0)
    await bench.store.keep_answer("key", {"status": 202}, 1.0)
    bench.store.close()
    bench.store = bench.open()
    assert await bench.store.known_sessions() == (known,)
    assert await bench.store.circuits() == {"respawn_pane": state}
    assert await bench.store.recall("key") == {"status": 202}


async def test_an_alert_is_taken_once_and_stays_pending_until_settled(bench: Bench) -> None:
    alert = AlertIntake("f", "t", "firing", {}, "web")
    first = await bench.store.accept_alerts([alert, alert], 1.0)
    assert [receipt.skip for receipt in first] == [None, SkipReason.DUPLICATE]
    bench.store.close()
    bench.store = bench.open()
    (pending,) = await bench.store.pending_alerts()
    await bench.store.settle_alerts([Settlement(pending.id, "healthy")], 2.0)
    assert await bench.store.pending_alerts() == ()
    again = await bench.store.accept_alerts([alert], 3.0)
    assert again[0].skip is SkipReason.DUPLICATE


def assert_tables_as_now(bench: Bench) -> None:
    with closing(sqlite3.connect(":memory:")) as wanted, closing(sqlite3.connect(bench.folder / FILE)) as got:
        wanted.executescript(migrations.schema())
        assert tables(got) == tables(wanted)


def test_the_schema_is_the_sum_of_the_migrations(bench: Bench) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as stepwise:
        migrations.migrate(stepwise)
        assert stepwise.execute("SELECT COUNT(*) FROM _sqlite_migrations").fetchone() == (
            len(migrations.names()),
        )
        with closing(sqlite3.connect(":memory:")) as wanted:
            wanted.executescript(migrations.schema())
            assert tables(stepwise) == tables(wanted)
    assert_tables_as_now(bench)


def test_a_new_database_has_had_all_steps_by_the_account_of_sqlite_utils(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.folder / FILE, isolation_level=None)) as connection:
        before = connection.execute("SELECT * FROM _sqlite_migrations").fetchall()
        assert migrations.applied(connection) == migrations.names()
        migrations.migrate(connection)
        assert connection.execute("SELECT * FROM _sqlite_migrations").fetchall() == before
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('sidecar', 'first')"
            )


def test_a_service_without_anything_to_migrate_leaves_sqlite_utils_alone(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; import sidecar.app; from sidecar.edges.store.database import open_database;"
        " [open_database(pathlib.Path(sys.argv[1]), 1.0).connection.close() for _ in range(2)];"
        " print('sqlite_utils' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "False\n"


async def test_a_database_without_what_was_compared_is_brought_up_to_date(bench: Bench) -> None:
    bench.store.close()
    bench.tamper("ALTER TABLE recoveries DROP COLUMN compared")
    bench.tamper("DELETE FROM _sqlite_migrations WHERE name = 'compared'")
    bench.tamper(
        "INSERT INTO incidents (id, trace, session, failure, unit, cause, intent, origin, state, evidence,"
        " first_sign, opened) VALUES (1, 't', 'web', 'crashed', 'session', 'server_killed', 'failure', 'o',"
        " 'recovered', '[]', 1, 1)"
    )
    bench.tamper(
        "INSERT INTO recoveries (id, incident, trace, session, failure, cause, origin, strategy, asker,"
        " state, begun) VALUES (1, 1, 't', 'web', 'crashed', 'server_killed', 'o', 'restore_checkpoint',"
        " 'watcher', 'verified', 1)"
    )
    bench.store = bench.open()
    row = await bench.store.recovery(1)
    assert row is not None
    assert row.compared == {}


async def test_what_a_verdict_has_compared_is_kept(bench: Bench) -> None:
    bench.store.close()
    bench.store = bench.open()
    incident = await bench.store.open_incident(FINDING, 1.0, 1.0)
    begun = await bench.store.begin_recovery(incident.id, Mandate(PLAN, Asker.WATCHER), 2.0)
    told = {"window name": 3, "session option": 0}
    await bench.store.end_recovery(
        Ending(begun.id, incident.id, Outcome.VERIFIED, "verified", (), told, 1.0, 1.0, 3.0)
    )
    row = await bench.store.recovery(begun.id)
    assert row is not None
    assert row.compared == told


def test_files_are_private_and_one_sidecar_holds_them(bench: Bench) -> None:
    assert stat.S_IMODE(bench.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((bench.folder / FILE).stat().st_mode) == 0o600
    with pytest.raises(AlreadyRunning):
        bench.open()


def test_a_database_of_a_newer_release_is_refused(bench: Bench) -> None:
    bench.store.close()
    bench.tamper(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('sidecar', 'later', '')"
    )
    with pytest.raises(Permanent, match="newer release"):
        bench.open()
    bench.tamper("DELETE FROM _sqlite_migrations WHERE name = 'later'")
    bench.store = bench.open()


def rehearsal(session: str = "web", *, restorable: bool = True) -> Rehearsal:
    told = Difference("pane 0.0", "title", "é\udcff", "x", tolerated=restorable, note="")
    return Rehearsal(session, 7, "abc", restorable, 5.0, (told,))


async def test_the_last_rehearsal_of_a_session_is_kept_as_long_as_it_has_checkpoints(bench: Bench) -> None:
    for name in ("web", "api"):
        await bench.store.add_checkpoint(Capture(image(name), "i", 1.0), Operation.STRUCTURE)
        await bench.store.keep_rehearsal(rehearsal(name), None)
    await bench.store.keep_rehearsal(rehearsal(restorable=False), Action.REHEARSAL_FAILED)
    assert await bench.store.rehearsals() == (rehearsal("api"), rehearsal(restorable=False))
    newest = (await bench.store.audit_rows(1))[0]
    assert (newest.action, newest.session) == (Action.REHEARSAL_FAILED, "web")
    assert newest.detail["differences"][0]["field"] == "title"
    bench.tamper("DELETE FROM checkpoints WHERE session = 'api'")
    await bench.store.keep_rehearsal(rehearsal(), None)
    assert await bench.store.rehearsals() == (rehearsal(),)


async def test_a_circuit_of_an_earlier_release_is_still_open(bench: Bench) -> None:
    bench.store.close()
    bench.tamper("DROP TABLE circuits")
    bench.tamper(
        "CREATE TABLE circuits (name TEXT PRIMARY KEY, state TEXT NOT NULL, failures TEXT NOT NULL,"
        " opened REAL NOT NULL, probe_until REAL NOT NULL)"
    )
    bench.tamper("INSERT INTO circuits VALUES ('respawn_pane', 'open', '[1.0]', 3.0, 0.0)")
    bench.tamper("DELETE FROM _sqlite_migrations WHERE name = 'probed'")
    bench.store = bench.open()
    assert await bench.store.circuits() == {"respawn_pane": BreakerState(Circuit.OPEN, opened=3.0, used=3.0)}
    assert_tables_as_now(bench)


async def test_a_database_without_footings_is_brought_up_to_date(bench: Bench) -> None:
    bench.store.close()
    bench.tamper("DROP TABLE footings")
    for column in ("attempt", "manner"):
        bench.tamper(f"ALTER TABLE recoveries DROP COLUMN {column}")
    bench.tamper("DELETE FROM _sqlite_migrations WHERE name = 'climbed'")
    bench.store = bench.open()
    assert await bench.store.footings() == {}
    assert_tables_as_now(bench)


async def test_a_database_without_rehearsals_is_brought_up_to_date(bench: Bench) -> None:
    bench.store.close()
    bench.tamper("DROP TABLE rehearsals")
    bench.tamper("DELETE FROM _sqlite_migrations WHERE name = 'rehearsals'")
    bench.store = bench.open()
    assert await bench.store.rehearsals() == ()
    assert_tables_as_now(bench)


async def test_a_file_that_was_removed_or_replaced_is_noticed(bench: Bench) -> None:
    assert bench.store.is_on_disk()
    path = bench.folder / FILE
    path.rename(path.with_name("elsewhere"))
    assert not bench.store.is_on_disk()
    path.touch()
    assert not bench.store.is_on_disk()
