//! Opening the database: a new one gets the schema, an older one is migrated after a backup, a newer or damaged one is refused.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};

use super::super::{Error, Result};

/// Marks the file as ours: "FRML".
const APPLICATION_ID: u32 = 0x4652_4d4c;

/// SQL that turns format `n` into `n + 1`, by `n - 1`. The format this program writes is one more than there are steps.
const STEPS: &[&str] = &[];

/// Opens the database, and makes it if `create` says so. None where it is to be opened only and holds nothing yet: whoever was making it was cut
/// off, or is at it right now.
pub(super) fn open(path: &Path, tool: &str, create: bool) -> Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let flags = if create { flags | OpenFlags::SQLITE_OPEN_CREATE } else { flags };
    if create && !place_whole(path, tool) {
        // Made by us, so that it is private from its first byte on; SQLite gives its side files the same mode.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|error| Error::Io { doing: "open", path: path.into(), cause: error.to_string() })?;
    }
    let connection = Connection::open_with_flags(path, flags).map_err(|error| fault("open", path, &error))?;
    Ok(prepare(&connection, path, tool, create, STEPS)?.then_some(connection))
}

/// Where the write and read versions of the file format are in the header, and what they are for a database in WAL mode
/// (<https://www.sqlite.org/fileformat2.html>, 1.3.3).
const FORMAT_VERSIONS: (std::ops::Range<usize>, u8) = (18..20, 2);

/// Puts a new database there that is complete and durable before it has its name: a cut leaves all of it or nothing, and one sync takes the place
/// of the six that SQLite needs to make it in its place. False where there is a file already, or the file system knows no files without a name;
/// then SQLite sees to it.
fn place_whole(path: &Path, tool: &str) -> bool {
    let Some(folder) = path.parent().filter(|_| path.symlink_metadata().is_err()) else { return false };
    let bytes = || -> rusqlite::Result<Vec<u8>> {
        let mut connection = Connection::open_in_memory()?;
        create_schema(&connection, tool, 1 + STEPS.len() as u32)?;
        // SQLite marks no database in memory for WAL, and would write the first page again to mark it later.
        let mut bytes = connection.serialize("main")?.to_vec();
        let (versions, wal) = FORMAT_VERSIONS;
        bytes[versions].fill(wal);
        Ok(bytes)
    };
    let place = || -> std::io::Result<()> {
        let bytes = bytes().map_err(std::io::Error::other)?;
        let unnamed = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(unnamed);
        file.write_all(&bytes)?;
        file.sync_all()?;
        // Its name becomes durable with that of the first WAL, in the same folder.
        linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    };
    place().is_ok()
}

/// False where there is nothing in it, and nothing was to be made.
fn prepare(connection: &Connection, path: &Path, tool: &str, create: bool, steps: &[&str]) -> Result<bool> {
    let io = |error: rusqlite::Error| fault("open", path, &error);
    connection.busy_timeout(Duration::from_secs(10)).map_err(io)?;
    let application: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(io)?;
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(io)?;
    let current = 1 + steps.len() as u32;
    if application == 0 && format == 0 && is_empty(connection).map_err(io)? {
        if create {
            durable(connection).map_err(io)?;
            create_schema(connection, tool, current).map_err(io)?;
        }
        return Ok(create);
    }
    if application != APPLICATION_ID {
        return Err(Error::Damaged { path: path.into(), what: "it is a database of another program".into() });
    }
    if format > current {
        let tool = connection.query_row("SELECT value FROM meta WHERE key = 'tool'", [], |row| row.get(0)).unwrap_or_else(|_| "?".into());
        return Err(Error::Newer { path: path.into(), found: format, known: current, tool });
    }
    durable(connection).map_err(io)?;
    if format < current {
        migrate(connection, path, tool, format, steps)?;
    }
    Ok(true)
}

/// Memory for pages of a connection, in KiB. A driver appends, and looks up what it has just written: SQLite's own two MiB would be memory of
/// every run and no faster.
const CACHE: i32 = 256;

/// WAL, and every commit on disk before it is reported.
fn durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -CACHE)?;
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(())).optional().map(|row| row.is_none())
}

fn create_schema(connection: &Connection, tool: &str, format: u32) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if is_empty(connection)? {
        connection.execute_batch(include_str!("../sql/schema.sql"))?;
        connection.execute("INSERT INTO meta (key, value) VALUES ('tool', ?1)", [tool])?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", format)?;
    }
    connection.execute_batch("COMMIT")
}

/// One transaction, after a copy of the whole database beside it.
fn migrate(connection: &Connection, path: &Path, tool: &str, format: u32, steps: &[&str]) -> Result<()> {
    let backup = path.with_extension(format!("v{format}.bak"));
    connection.backup("main", &backup, None::<fn(rusqlite::backup::Progress)>).map_err(|error| fault("back up", path, &error))?;
    let run = || -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for step in &steps[(format as usize).saturating_sub(1)..] {
            connection.execute_batch(step)?;
        }
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('tool', ?1)", [tool])?;
        connection.pragma_update(None, "user_version", 1 + steps.len() as u32)?;
        connection.execute_batch("COMMIT")
    };
    run().map_err(|error| {
        let _ = connection.execute_batch("ROLLBACK");
        fault("migrate", path, &error)
    })
}

/// SQLite's words as ours: damage is told apart from a disk that cannot.
pub(super) fn fault(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::Damaged { path: path.into(), what: error.to_string() },
        _ => Error::Io { doing, path: path.into(), cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        (dir, path)
    }

    #[test]
    fn an_older_format_is_migrated_after_a_backup() {
        let (_dir, path) = file();
        drop(open(&path, "0.1.0", true).unwrap());
        let connection = Connection::open(&path).unwrap();
        prepare(&connection, &path, "0.2.0", false, &["ALTER TABLE runs ADD COLUMN note TEXT"]).unwrap();
        connection.execute("UPDATE runs SET note = 'x'", []).unwrap();
        let old = Connection::open(path.with_extension("v1.bak")).unwrap();
        assert_eq!(old.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap(), 1);
        assert!(old.execute("UPDATE runs SET note = 'x'", []).is_err(), "the backup is the old format");
        drop(connection);
        assert!(matches!(open(&path, "0.1.0", true), Err(Error::Newer { found: 2, known: 1, ref tool, .. }) if tool == "0.2.0"));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_format() {
        let (_dir, path) = file();
        drop(open(&path, "0.1.0", true).unwrap());
        let connection = Connection::open(&path).unwrap();
        assert!(prepare(&connection, &path, "0.2.0", false, &["ALTER TABLE runs ADD COLUMN note TEXT; SELECT nonsense"]).is_err());
        drop(connection);
        open(&path, "0.1.0", true).unwrap();
    }

    #[test]
    fn foreign_and_damaged_files_are_refused() {
        let (_dir, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
        assert!(matches!(open(&path, "0.1.0", true), Err(Error::Damaged { .. })));
        std::fs::write(&path, vec![7_u8; 8192]).unwrap();
        assert!(matches!(open(&path, "0.1.0", true), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_journal_that_was_being_made_is_none_and_can_be_made() {
        let (_dir, path) = file();
        std::fs::write(&path, "").unwrap();
        assert!(open(&path, "0.1.0", false).unwrap().is_none());
        // Cut off after the switch to WAL, before there is a table.
        durable(&Connection::open(&path).unwrap()).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > 0);
        assert!(open(&path, "0.1.0", false).unwrap().is_none());
        assert!(open(&path, "0.1.0", true).unwrap().is_some());
        assert!(open(&path, "0.1.0", false).unwrap().is_some());
    }

    #[test]
    fn a_new_journal_is_whole_before_it_has_its_name() {
        let (dir, path) = file();
        assert!(place_whole(&path, "0.1.0"));
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["journal.db"], "nothing beside it");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let placed = std::fs::read(&path).unwrap();
        assert!(!place_whole(&path, "0.2.0"), "what is there is left alone");
        assert_eq!(std::fs::read(&path).unwrap(), placed);
        // As SQLite would have made it in its place.
        let connection = open(&path, "0.1.0", true).unwrap().expect("made");
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let other = dir.path().join("other.db");
        std::fs::write(&other, "").unwrap();
        let in_place = open(&other, "0.1.0", true).unwrap().expect("made");
        let tables = |connection: &Connection| -> Vec<String> {
            let mut statement = connection.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
        };
        assert_eq!(tables(&connection), tables(&in_place));
        let mark = |connection: &Connection| connection.pragma_query_value(None, "application_id", |row| row.get::<_, u32>(0)).unwrap();
        assert_eq!((mark(&connection), mark(&in_place)), (APPLICATION_ID, APPLICATION_ID));
    }

    #[test]
    fn commits_are_synchronous() {
        let (_dir, path) = file();
        let connection = open(&path, "0.1.0", true).unwrap().expect("made");
        assert_eq!(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, u32>(0)).unwrap(), 2, "FULL");
        assert_eq!(connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(), "wal");
    }
}
