//! The key in the env file that holds the last migration: read, moved, put back byte for byte.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Version;
use crate::contract::StepError;
use crate::dotenv::{EnvFile, Reading};
use crate::kit::text::hex;
use crate::world::World;

/// A key in an env file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvKey<'a> {
    file: &'a str,
    key: &'a str,
}

/// What the file said of the key; enough to put it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBefore {
    /// Whether there was a file.
    pub existed: bool,
    /// Digest of the file.
    pub digest: String,
    /// Whether its last line had its end.
    pub newline: bool,
    /// Places and lines of the key.
    pub lines: Vec<(usize, String)>,
}

impl<'a> EnvKey<'a> {
    /// The key `key` of `file`, a path below the working directory.
    pub fn new(file: &'a str, key: &'a str) -> Self {
        Self { file, key }
    }

    /// What the file says of the key.
    ///
    /// # Errors
    /// When the file cannot be read as an env file.
    pub async fn read(&self, world: &World, workdir: &Path) -> Result<Reading, StepError> {
        Ok(self.load(world, workdir).await?.1.read(self.key))
    }

    /// What undo will need.
    ///
    /// # Errors
    /// As [`EnvKey::read`].
    pub async fn before(&self, world: &World, workdir: &Path) -> Result<KeyBefore, StepError> {
        let (existed, file) = self.load(world, workdir).await?;
        Ok(KeyBefore { existed, digest: digest(&file), newline: file.ends_with_newline(), lines: file.raw(self.key) })
    }

    /// Moves the key. Nothing is written where it holds the version already.
    ///
    /// # Errors
    /// When the file cannot be read or written, or an encrypted one stands in its place.
    pub async fn set(&self, world: &World, workdir: &Path, version: &Version) -> Result<(), StepError> {
        let _held = world.files.lock(workdir, Path::new(self.file)).await?;
        let (existed, old) = self.load(world, workdir).await?;
        if !existed && world.files.read(workdir, Path::new(&format!("{}.enc", self.file))).await?.is_some() {
            return Err(StepError::refused(format!("`{0}` is not there, but `{0}.enc` is", self.file))
                .hint(format!("decrypt `{0}.enc` to `{0}` first: a new file would hide what it holds", self.file)));
        }
        let mut new = old.clone();
        new.set(self.key, &version.to_string())
            .map_err(|why| StepError::refused(format!("`{}` in `{}` cannot be set: {why}", self.key, self.file)))?;
        if new != old {
            world.files.write(workdir, Path::new(self.file), new.to_string().as_bytes(), 0o600, false).await?;
        }
        Ok(())
    }

    /// Puts the key back, unless it is neither what it was nor one of `ours`.
    ///
    /// # Errors
    /// Conflict where somebody else changed it.
    pub async fn put_back(&self, world: &World, workdir: &Path, before: &KeyBefore, ours: &[Version]) -> Result<(), StepError> {
        let _held = world.files.lock(workdir, Path::new(self.file)).await?;
        let (existed, now) = self.load(world, workdir).await?;
        let bare = |lines: &[(usize, String)]| lines.iter().map(|(_, raw)| raw.trim_end().to_owned()).collect::<Vec<_>>();
        if bare(&now.raw(self.key)) == bare(&before.lines) || !existed && !before.existed {
            return Ok(());
        }
        let is_ours =
            matches!(now.read(self.key), Reading::Value(value) if Version::parse(&value).is_some_and(|value| ours.contains(&value)));
        if !is_ours {
            return Err(StepError::conflict(format!("`{}` in `{}` was changed after this step set it", self.key, self.file))
                .hint("put it right by hand, then go on with the rollback"));
        }
        let restored = restored(&now, self.key, before);
        if !before.existed && restored.to_string().is_empty() {
            world.files.remove(workdir, Path::new(self.file)).await?;
        } else {
            world.files.write(workdir, Path::new(self.file), restored.to_string().as_bytes(), 0o600, false).await?;
        }
        Ok(())
    }

    async fn load(&self, world: &World, workdir: &Path) -> Result<(bool, EnvFile), StepError> {
        let found = world.files.read(workdir, Path::new(self.file)).await?;
        let existed = found.is_some();
        let text = String::from_utf8(found.map(|file| file.bytes).unwrap_or_default())
            .map_err(|_| StepError::refused(format!("`{}` is not UTF-8", self.file)))?;
        let file = EnvFile::parse(&text).map_err(|line| {
            StepError::refused(format!("`{}` line {line}: the quote is never closed", self.file))
                .hint("close it: docker compose does not read the file as it is")
        })?;
        Ok((existed, file))
    }
}

/// The file with the key as it was: exactly as it was where nobody touched anything else, else the key alone.
fn restored(now: &EnvFile, key: &str, before: &KeyBefore) -> EnvFile {
    let mut exact = now.clone();
    exact.put_back(key, &[]);
    for (at, raw) in &before.lines {
        exact.insert(*at, raw);
    }
    if !before.newline {
        exact.cut_final_newline();
    }
    if digest(&exact) == before.digest {
        return exact;
    }
    let mut alone = now.clone();
    alone.put_back(key, &before.lines);
    alone
}

fn digest(file: &EnvFile) -> String {
    hex(&Sha256::digest(file.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::fake::{FakeFile, FakeWorld};

    #[tokio::test]
    async fn the_key_is_put_back_byte_for_byte() {
        let (one, two) = (Version::parse("v0.2.0").unwrap(), Version::parse("v0.3.0").unwrap());
        for text in ["", "A=1", "A=1\n", "LAST=v0.2.0\nB=2", "LAST=v0.1.0\nB=2\nexport LAST=v0.2.0 # here", "B='x\ny'\r\nLAST=v0.2.0\r\n"] {
            let fake = FakeWorld::new();
            fake.edit(|state| state.files.insert("/acme/.env".into(), FakeFile::new(text).mode(0o640)));
            let start = fake.snapshot();
            let (world, key, dir) = (fake.world(), EnvKey::new(".env", "LAST"), Path::new("/acme"));
            let before = key.before(&world, dir).await.unwrap();
            key.set(&world, dir, &one).await.unwrap();
            key.set(&world, dir, &two).await.unwrap();
            assert_eq!(key.read(&world, dir).await.unwrap(), Reading::Value("v0.3.0".into()));
            for _ in 0..2 {
                key.put_back(&world, dir, &before, &[one.clone(), two.clone()]).await.unwrap();
                assert_eq!(fake.snapshot(), start, "{text:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_others_wrote_stays() {
        let fake = FakeWorld::new();
        fake.edit(|state| state.put("/acme/.env", "LAST=v0.2.0\n"));
        let (world, key, dir) = (fake.world(), EnvKey::new(".env", "LAST"), Path::new("/acme"));
        let before = key.before(&world, dir).await.unwrap();
        let ours = Version::parse("v0.3.0").unwrap();
        key.set(&world, dir, &ours).await.unwrap();
        fake.edit(|state| state.put("/acme/.env", "LAST=v0.3.0\nNEW=1\n"));
        key.put_back(&world, dir, &before, std::slice::from_ref(&ours)).await.unwrap();
        fake.edit(|state| assert_eq!(state.text("/acme/.env").unwrap(), "LAST=v0.2.0\nNEW=1\n"));
        fake.edit(|state| state.put("/acme/.env", "LAST=v9.0.0\n"));
        assert!(key.put_back(&world, dir, &before, &[ours]).await.is_err());
    }
}
