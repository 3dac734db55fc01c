//! What a step remembers from one call to the next, across crashes, until the run is over: a small file in the run's scratch
//! folder. For what neither the world nor the checkpoint can tell; the journal stays the record.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Class, Context, StepError};
use crate::world::PortErrorKind;

impl Context {
    /// Name of a file in the scratch folder that no other step of the run uses.
    pub fn scratch_name(&self, what: &str) -> PathBuf {
        use std::fmt::Write as _;
        let id = Sha256::digest(self.step.as_bytes());
        let name = id.iter().take(8).fold(format!("{what}-"), |mut name, byte| {
            write!(name, "{byte:02x}").expect("a string takes everything");
            name
        });
        PathBuf::from(name)
    }

    /// Remembers a value under a name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn remember<T: Serialize + Sync>(&self, what: &str, value: &T) -> Result<(), StepError> {
        let bytes = serde_json::to_vec(value).map_err(|error| StepError::new(Class::Internal, error.to_string()))?;
        Ok(self.world.files.write(&self.scratch, &self.scratch_name(what), &bytes, 0o600, true).await?)
    }

    /// What was remembered under a name.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn remembered<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>, StepError> {
        let file = match self.world.files.read(&self.scratch, &self.scratch_name(what)).await {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            // Whoever only looks has no such folder.
            Err(error) if error.kind == PortErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let value = serde_json::from_slice(&file.bytes);
        value.map(Some).map_err(|error| StepError::new(Class::Internal, format!("what `{what}` remembered cannot be read: {error}")))
    }

    /// Forgets what was remembered under a name, if anything was.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub async fn forget(&self, what: &str) -> Result<(), StepError> {
        Ok(self.world.files.remove(&self.scratch, &self.scratch_name(what)).await?)
    }
}
