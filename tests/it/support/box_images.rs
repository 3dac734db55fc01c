//! The images of a box, built once for all boxes of a test binary and taken away with the last box.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::docker::{docker, docker_quietly};

/// Services of a box that have an image of their own name.
pub const SERVICES: [&str; 3] = ["depot", "agents", "edge"];
/// Versions that a box's registry has images of, and how the agents of each behave.
pub const VERSIONS: [(&str, &str); 4] = [("v0.2.0", "serves"), ("v0.3.0", "serves"), ("v0.3.1", "ailing"), ("v0.3.2", "crashes")];
/// The image that was built on the box, by nobody knows whom: it bears no version.
const LOCAL: (&str, &str) = ("unknown", "serves");

const SERVE: &str = include_str!("box/serve.sh");
const BASE: &str = "\
FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY serve.sh /serve.sh
ENV PATH=/bin
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
LABEL formula.test=1
VOLUME /data
HEALTHCHECK --interval=1s --timeout=2s --retries=3 CMD [\"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:8080/api/version\"]
STOPSIGNAL SIGKILL
ENTRYPOINT [\"/bin/sh\", \"/serve.sh\"]
";

/// Names under which the engine has the images; they go with the last holder.
pub struct BoxImages {
    name: String,
}

impl BoxImages {
    /// The images, built if no other box has them just now.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<BoxImages>> = Mutex::new(Weak::new());
        // A test that failed while it built must not fail the others.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(images) = shared.upgrade() {
            return images;
        }
        let images = Arc::new(Self::build());
        *shared = Arc::downgrade(&images);
        images
    }

    fn build() -> Self {
        let images = Self { name: format!("formula-test-box-{}", std::process::id()) };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let busybox = folder.path().join("busybox");
        fs::copy("/bin/busybox", &busybox).expect("`tests/provision.sh` installs busybox-static");
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        fs::write(folder.path().join("serve.sh"), SERVE).expect("the folder is ours");
        let base = format!("{}:base", images.name);
        images.build_one(folder.path(), BASE, &base);
        let mut wanted: Vec<(&str, &str)> = VERSIONS.iter().flat_map(|(version, mode)| [(*version, "serves"), (*version, *mode)]).collect();
        wanted.push(LOCAL);
        wanted.sort_unstable();
        wanted.dedup();
        for (release, mode) in wanted {
            let label = if (release, mode) == LOCAL { "" } else { release };
            let text = format!("FROM {base}\nENV RELEASE={release} MODE={mode}\nLABEL org.opencontainers.image.version=\"{label}\"\n");
            images.build_one(folder.path(), &text, &images.reference(release, mode));
        }
        images
    }

    fn build_one(&self, folder: &std::path::Path, dockerfile: &str, reference: &str) {
        fs::write(folder.join("Dockerfile"), dockerfile).expect("the folder is ours");
        // Layers of a cache are shared, and another test may remove them at any moment.
        docker(&["build", "--quiet", "--no-cache", "--tag", reference, &folder.to_string_lossy()]);
    }

    fn reference(&self, release: &str, mode: &str) -> String {
        format!("{}:{release}-{mode}", self.name)
    }

    /// Gives the image of a service at a version another name.
    pub fn name_release(&self, service: &str, version: &str, name: &str) {
        let mode = VERSIONS.iter().find(|(known, _)| service == "agents" && *known == version).map_or("serves", |(_, mode)| mode);
        docker(&["tag", &self.reference(version, mode), name]);
    }

    /// Gives the image of unknown origin another name.
    pub fn name_local(&self, name: &str) {
        docker(&["tag", &self.reference(LOCAL.0, LOCAL.1), name]);
    }
}

impl Drop for BoxImages {
    fn drop(&mut self) {
        remove_images(&format!("{}:*", self.name));
    }
}

/// Takes away the names that fit, of images that bear the label of the tests.
pub fn remove_images(pattern: &str) {
    let pattern = format!("reference={pattern}");
    let format = "{{.Repository}}:{{.Tag}}";
    let listed = docker_quietly(&["image", "ls", "--filter", "label=formula.test=1", "--filter", &pattern, "--format", format]);
    let names: Vec<&str> = listed.lines().collect();
    if !names.is_empty() {
        docker_quietly(&[&["image", "rm", "--force"], names.as_slice()].concat());
    }
}
