-- Format 1. Change this only together with a new step in sqlite/schema.rs.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE runs (
  id          INTEGER PRIMARY KEY,
  run         TEXT NOT NULL UNIQUE,
  formula     TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  key         TEXT,
  workdir     TEXT NOT NULL,
  started     INTEGER NOT NULL,
  outcome     TEXT,
  changed     INTEGER NOT NULL DEFAULT 0,
  epoch       INTEGER NOT NULL DEFAULT 0,
  holder      TEXT
);

CREATE TABLE events (
  run  INTEGER NOT NULL,
  seq  INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  v    INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL
);

CREATE TABLE blob_uses (
  run    INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (run, digest)
) WITHOUT ROWID;

CREATE TABLE requests (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  run  TEXT NOT NULL,
  body TEXT NOT NULL
);
