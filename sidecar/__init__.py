"""tmux-sidecar keeps long-lived tmux sessions alive.

Floors by purity, files by stage; imports go one way only::

    __main__ -> cli -> app --+--> web --> flow --> decide --> model
                             +--> edges ---------------------> model
    errors, clock and config stand beside model

===============  =========================================================================
cli, client      commands (``cli_checkpoints`` and others beside it); the service's are thin HTTP
                 calls; ``terminal`` prints for people, ``times`` reads their words for moments
demo             a private server, four injuries, the transcript
app              composition root: one straight line, teardown in reverse; ``serve`` runs it as a
                 process, ``tasks`` are those that it keeps, ``entrance`` is the service's own door
config           the settings, frozen; ``config_read`` reads YAML and names every fault, with
                 ``config_yaml``, ``config_fields`` (walking the nodes) and ``config_units``
                 (durations, sizes); ``config_lastgood`` keeps what was last in force;
                 ``config_web`` reads users and certificates, ``config_workspaces`` the files that
                 declare sessions, with ``config_tmuxp`` (one session) and ``config_yesman`` (its folder)
model/           nouns: session, workspace, incident, plan, saga (journals), policy, record (rows), status
decide/          the quiet floor: detect with lost and remember, diagnose (causes: the table of
                 clues), disconnect, confirm, choose (with fitting, material, limits, plans), judge,
                 supervise with casting and restart (programs by rules), resume, workspace, breaker,
                 saga (what comes next in a plan), ...
edges/           the doors: tmux/ (run, snapshot, capture, rebuild, birth, doorbell, stage), probes/
                 (http, tcp, dns, commands, what programs do), heals/ (signals, commands, what checks let
                 be done), process (/proc), process_watch (pidfds),
                 surroundings (kernel_log, cgroup, disks), stopped (what was, and lets it go on), inotify,
                 diagnostics/ (what broken panes still show), host (this machine), folders (that may
                 hang), pressure, memory (of our own), store/ (SQLite),
                 metrics, logs, systemd
flow/            the corridor: watch (inbox and cycle), recover (THE PIPELINE) with situation, confirm,
                 verify, conclude and resume, execute and steps (plans), circuits, inquiry (what surrounds
                 a failure), examine (what looks do not show) with reach (the socket), frozen, suspended,
                 terminals and absence (what went unseen), heartbeat with rounds and dependencies (what
                 rules ask), supervise (programs by rules) and critical (processes that have to run),
                 checks with places (health checks), workers (a task for each of many),
                 furnish (declared sessions), checkpoint, diagnostics (what is looked at before acting),
                 rehearse, archive (what people ask of generations), custody (release, adopt, explain),
                 records, desk (requests), alerts (by session), together (once for many), person (calls),
                 quiet with foreign (silences), pulse (the watchdog), strain and lanes (what is short,
                 and who waits), pace (turns of programs), ward (what is known)
web/             the windows: routes, checkpoints, checks, custody, quiet, records, payload, middleware,
                 views, secrets, reply, problem, replay; guard (what a request has to be) and gate (who
                 asks) with tokens, passwords and throttle; doorman (connections), tls, rereading (files
                 that change)
redact, formats  below all floors: no secrets in what is shown, no commands in tmux's formats
strategies       below all floors: what a package imports that brings a strategy of its own; ``guest`` is
                 the process that runs it, behind ``edges/guests`` and ``edges/catalogue``
herald           below all floors: the process that speaks through Apprise, behind ``edges/notify/apprise``
errand           below all floors: on whose behalf something is done, and under which trace
===============  =========================================================================

Where the boxes of the classic plan live: Health Monitor ``flow/watch``; Failure Detector
``decide/detect``; Root Cause Analyser ``decide/diagnose``; Strategy Engine ``decide/choose``;
Executor and Transaction Manager ``flow/execute`` and ``decide/saga``; Validator
``decide/judge``; Checkpoint Manager ``flow/checkpoint``; State Store ``edges/store``; Retry
Manager ``decide/backoff``; Circuit Breaker ``decide/breaker``; Audit: rows written with the
change they explain.
"""

__version__ = "0.1.0"
