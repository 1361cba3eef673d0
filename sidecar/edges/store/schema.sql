CREATE TABLE sessions (
  name TEXT PRIMARY KEY,
  standing TEXT NOT NULL,
  instance TEXT NOT NULL,
  declared INTEGER NOT NULL,
  last_seen REAL NOT NULL
);
CREATE TABLE checkpoints (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session TEXT NOT NULL,
  taken REAL NOT NULL,
  operation TEXT NOT NULL,
  instance TEXT NOT NULL,
  checksum TEXT NOT NULL,
  size INTEGER NOT NULL,
  body TEXT NOT NULL,
  quarantined TEXT NOT NULL DEFAULT '',
  seal TEXT NOT NULL DEFAULT '',
  texts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX checkpoints_by_session ON checkpoints (session, id);
CREATE TABLE scrollbacks (
  digest TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  packed BLOB NOT NULL
);
CREATE TABLE checkpoint_scrollbacks (
  checkpoint INTEGER NOT NULL REFERENCES checkpoints (id) ON DELETE CASCADE,
  digest TEXT NOT NULL REFERENCES scrollbacks (digest),
  PRIMARY KEY (checkpoint, digest)
) WITHOUT ROWID;
CREATE INDEX checkpoint_scrollbacks_by_digest ON checkpoint_scrollbacks (digest);
CREATE TABLE rehearsals (
  session TEXT PRIMARY KEY,
  checkpoint INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  restorable INTEGER NOT NULL,
  at REAL NOT NULL,
  differences TEXT NOT NULL
);
CREATE TABLE incidents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  trace TEXT NOT NULL,
  session TEXT NOT NULL,
  failure TEXT NOT NULL,
  unit TEXT NOT NULL,
  cause TEXT NOT NULL,
  intent TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL,
  evidence TEXT NOT NULL,
  first_sign REAL NOT NULL,
  opened REAL NOT NULL,
  closed REAL,
  reason TEXT NOT NULL DEFAULT '',
  sentence TEXT NOT NULL DEFAULT ''
);
CREATE INDEX incidents_open ON incidents (session) WHERE closed IS NULL;
CREATE TABLE diagnostics (
  incident INTEGER PRIMARY KEY REFERENCES incidents (id),
  at REAL NOT NULL,
  checkpoint INTEGER,
  size INTEGER NOT NULL,
  packed BLOB NOT NULL
);
CREATE TABLE recoveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  incident INTEGER NOT NULL REFERENCES incidents (id),
  trace TEXT NOT NULL,
  session TEXT NOT NULL,
  failure TEXT NOT NULL,
  cause TEXT NOT NULL,
  origin TEXT NOT NULL,
  strategy TEXT NOT NULL,
  asker TEXT NOT NULL,
  checkpoint INTEGER,
  state TEXT NOT NULL,
  begun REAL NOT NULL,
  ended REAL,
  duration REAL,
  time_to_recovery REAL,
  verdict TEXT NOT NULL DEFAULT '',
  differences TEXT NOT NULL DEFAULT '[]',
  evidence TEXT NOT NULL DEFAULT '[]',
  compared TEXT NOT NULL DEFAULT '{}',
  plan TEXT NOT NULL DEFAULT '',
  resumed INTEGER NOT NULL DEFAULT 0,
  stopped TEXT NOT NULL DEFAULT '',
  wanted TEXT NOT NULL DEFAULT '[]',
  transaction_outcome TEXT NOT NULL DEFAULT '',
  commands TEXT NOT NULL DEFAULT '[]',
  undo INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 1,
  manner TEXT NOT NULL DEFAULT 'plain'
);
CREATE INDEX recoveries_by_session ON recoveries (session, begun);
CREATE INDEX recoveries_by_time ON recoveries (begun);
CREATE INDEX recoveries_by_incident ON recoveries (incident);
CREATE TABLE steps (
  recovery INTEGER NOT NULL REFERENCES recoveries (id),
  seq INTEGER NOT NULL,
  phase TEXT NOT NULL DEFAULT 'do',
  attempt INTEGER NOT NULL DEFAULT 1,
  kind TEXT NOT NULL,
  description TEXT NOT NULL,
  state TEXT NOT NULL,
  due REAL NOT NULL DEFAULT 0,
  begun REAL,
  ended REAL,
  error TEXT NOT NULL DEFAULT '',
  said TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (recovery, seq, phase, attempt)
) WITHOUT ROWID;
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  trace TEXT NOT NULL,
  session TEXT NOT NULL,
  action TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX audit_by_session ON audit (session, id);
CREATE TABLE audit_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  newest INTEGER NOT NULL,
  hash TEXT NOT NULL
);
CREATE TABLE counted (
  counter TEXT NOT NULL,
  labels TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (counter, labels)
) WITHOUT ROWID;
CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  fingerprint TEXT NOT NULL,
  starts_at TEXT NOT NULL,
  session TEXT NOT NULL,
  failure TEXT NOT NULL,
  strategy TEXT,
  labels TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  received REAL NOT NULL,
  resolved REAL,
  recovery INTEGER,
  UNIQUE (fingerprint, starts_at)
);
CREATE INDEX alerts_pending ON alerts (id) WHERE state = 'pending';
CREATE TABLE circuits (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  calls TEXT NOT NULL,
  opened REAL NOT NULL,
  forced INTEGER NOT NULL,
  leases TEXT NOT NULL,
  proven INTEGER NOT NULL,
  used REAL NOT NULL
);
CREATE TABLE footings (
  session TEXT NOT NULL,
  failure TEXT NOT NULL,
  strategy TEXT NOT NULL,
  held INTEGER NOT NULL,
  cause TEXT NOT NULL,
  unit TEXT NOT NULL,
  pane TEXT NOT NULL,
  alert TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (session, failure)
);
CREATE TABLE checks (
  name TEXT PRIMARY KEY,
  failing INTEGER NOT NULL,
  vain INTEGER NOT NULL,
  at REAL NOT NULL
);
CREATE TABLE programs (
  session TEXT NOT NULL,
  pane TEXT NOT NULL,
  server TEXT NOT NULL,
  rule TEXT NOT NULL,
  life TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (session, pane)
);
CREATE TABLE program_starts (
  recovery INTEGER PRIMARY KEY,
  session TEXT NOT NULL,
  pane TEXT NOT NULL,
  rule TEXT NOT NULL,
  asker TEXT NOT NULL,
  at REAL NOT NULL
);
CREATE INDEX program_starts_by_pane ON program_starts (session, pane, at);
CREATE TABLE answers (
  key TEXT PRIMARY KEY,
  answer TEXT NOT NULL,
  kept REAL NOT NULL
);
CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  matter TEXT NOT NULL,
  session TEXT NOT NULL,
  text TEXT NOT NULL,
  trace TEXT NOT NULL,
  at REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  attempts INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL DEFAULT 0,
  ended REAL,
  error TEXT NOT NULL DEFAULT '',
  check_name TEXT NOT NULL DEFAULT ''
);
CREATE INDEX notices_by_channel ON notices (channel, state, id);
CREATE TABLE silences (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target TEXT NOT NULL,
  begun REAL NOT NULL,
  until REAL NOT NULL,
  hold INTEGER NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  ended REAL
);
CREATE TABLE withheld (
  session TEXT NOT NULL,
  check_name TEXT NOT NULL,
  matter TEXT NOT NULL,
  text TEXT NOT NULL,
  trace TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (session, check_name, matter)
);
