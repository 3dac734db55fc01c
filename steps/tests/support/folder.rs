//! A temporary folder with files, such as a build context.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use formula_steps::world::{Build, Builder, ImageRef};

/// Gone with the value.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Files by name; missing folders are made.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, content) in files {
            folder.write(name, content.as_bytes());
        }
        folder
    }

    /// A context whose image can run things: `/bin/busybox` is static.
    pub fn with_busybox(files: &[(&str, &str)]) -> Self {
        let folder = Self::with(files);
        std::fs::copy("/bin/busybox", folder.path().join("busybox")).expect("busybox is installed");
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, mode 0644.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("our own file");
        path
    }

    /// A build of this folder.
    pub fn build(&self, tags: &[&ImageRef]) -> Build {
        Build {
            context: self.path().to_owned(),
            dockerfile: "Dockerfile".into(),
            tags: tags.iter().map(|&tag| tag.clone()).collect(),
            args: BTreeMap::new(),
            labels: BTreeMap::from([("formula.test".into(), "1".into())]),
            target: None,
            // Layers of a cache are shared, and another test may remove them at any moment.
            no_cache: true,
            platforms: Vec::new(),
            builder: Builder::Classic,
            digest: None,
        }
    }
}
