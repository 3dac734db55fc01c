//! A small image, made without any registry: the static busybox and a file.

use std::fs;

use super::Sandbox;
use super::docker::{docker, docker_quietly};

/// An image that is taken away on drop, by its reference, and only if it carries the label of the tests.
pub struct Image {
    /// Name and tag.
    pub reference: String,
}

impl Image {
    /// What a Dockerfile of a test has in common: busybox as all there is, and the label by which the image is known as ours.
    pub const DOCKERFILE: &'static str = "FROM scratch\nCOPY busybox /bin/busybox\nLABEL formula.test=1\n";

    /// Puts a build context below `work`: busybox, the Dockerfile above and these further lines.
    pub fn write_context(sandbox: &Sandbox, folder: &str, lines: &str) {
        let busybox = fs::read("/bin/busybox").expect("`tests/provision.sh` installs busybox-static");
        sandbox.write(&format!("{folder}/busybox"), busybox);
        let path = sandbox.work().join(folder).join("busybox");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the file is ours");
        sandbox.write(&format!("{folder}/Dockerfile"), format!("{}{lines}", Self::DOCKERFILE));
    }

    /// Builds `NAME:TAG`; the marker (found as `/marker`) makes its content differ from that of others.
    #[track_caller]
    pub fn build(sandbox: &Sandbox, reference: &str, marker: &str) -> Self {
        let folder = format!(".context-{}", reference.replace(['/', ':'], "-"));
        Self::write_context(sandbox, &folder, "COPY marker /marker\n");
        sandbox.write(&format!("{folder}/marker"), marker);
        let context = sandbox.work().join(&folder);
        // Layers of a cache are shared, and another test may remove them at any moment.
        docker(&["build", "--quiet", "--no-cache", "--tag", reference, &context.to_string_lossy()]);
        fs::remove_dir_all(context).expect("the sandbox is writable");
        Self::adopt(reference)
    }

    /// Takes over an image that is there or is about to be made: it is taken away on drop.
    pub fn adopt(reference: &str) -> Self {
        Self { reference: reference.to_owned() }
    }

    /// Its id; none where there is no such image.
    pub fn id(&self) -> Option<String> {
        Some(docker_quietly(&["image", "inspect", "--format", "{{.Id}}", &self.reference])).filter(|id| !id.is_empty())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let label = docker_quietly(&["image", "inspect", "--format", r#"{{index .Config.Labels "formula.test"}}"#, &self.reference]);
        if label == "1" {
            docker_quietly(&["image", "rm", "--force", &self.reference]);
        }
    }
}
