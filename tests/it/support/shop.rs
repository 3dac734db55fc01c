//! A project that is ready to be released.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::docker::docker_quietly;
use super::{GitFixture, Image, Program, RegistryOptions, RegistryServer, Sandbox, formula};

/// A clean clone that holds version 0.3.0 and a small image, an origin, two mirrors, and a registry of its own.
pub struct Shop<'a> {
    sandbox: &'a Sandbox,
    /// The clone and its remotes.
    pub git: GitFixture<'a>,
    /// The registry.
    pub registry: RegistryServer,
    /// Taken away in the end.
    _images: Vec<Image>,
}

/// Everything that a release may change, save what `git` and `formula` keep for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Tags of the clone, with their objects.
    pub tags: BTreeMap<String, String>,
    /// Refs of each remote.
    pub remotes: BTreeMap<String, BTreeMap<String, String>>,
    /// Digests at the registry, by tag.
    pub registry: BTreeMap<String, String>,
    /// Files of the working tree.
    pub files: BTreeMap<String, String>,
}

impl<'a> Shop<'a> {
    /// The version that is released, and the name of its tag.
    pub const VERSION: &'static str = "v0.3.0";

    /// With a registry that is open to all.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self::with(sandbox, RegistryOptions::default())
    }

    /// With a registry set up like that.
    pub fn with(sandbox: &'a Sandbox, registry: RegistryOptions) -> Self {
        let git = GitFixture::new(sandbox);
        sandbox.write("image/Dockerfile", "FROM scratch\nCOPY marker /marker\nLABEL formula.test=1\n");
        // Two shops on one engine must not have the same image.
        sandbox.write("image/marker", sandbox.name());
        sandbox.write("VERSION", "0.3.0\n");
        git.git(&["add", "--all"]);
        git.git(&["commit", "--quiet", "--message=Version 0.3.0"]);
        git.git(&["push", "--quiet", "origin", "main"]);
        let registry = RegistryServer::with(sandbox, registry);
        let image = |tag| Image::adopt(&format!("{}/{}:{tag}", registry.host(), sandbox.name()));
        let images = [Self::VERSION, "latest"].map(image).into();
        Self { sandbox, git, registry, _images: images }
    }

    /// The image without its tag.
    pub fn image(&self) -> String {
        format!("{}/{}", self.registry.host(), self.sandbox.name())
    }

    /// `formula VERB release` with the flags of this shop.
    pub fn formula(&self, verb: &str) -> Program<'a> {
        let image = self.image();
        let flags = ["--version", Self::VERSION, "--image", &image, "--context", "image", "--mirrors", "codeberg", "--mirrors", "github"];
        formula(self.sandbox).args([verb, "release"]).args(flags)
    }

    /// `formula run release` with the flags of this shop.
    pub fn release(&self) -> Program<'a> {
        self.formula("run")
    }

    /// The image that the engine has under the released tag.
    pub fn image_id(&self) -> Option<String> {
        let reference = format!("{}:{}", self.image(), Self::VERSION);
        Some(docker_quietly(&["image", "inspect", "--format", "{{.Id}}", &reference])).filter(|id| !id.is_empty())
    }

    /// Makes the engine forget the image, so that it has to be built anew.
    pub fn forget_image(&self) {
        for tag in [Self::VERSION, "latest"] {
            docker_quietly(&["image", "rm", "--force", &format!("{}:{tag}", self.image())]);
        }
    }

    /// What there is outside of the program. The registry must answer.
    #[track_caller]
    pub fn outside(&self) -> Outside {
        let lines = self.git.git(&["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags"]);
        let pair = |line: &str| line.split_once(' ').map(|(name, object)| (name.to_owned(), object.to_owned()));
        let tags = self.registry.tags(self.sandbox.name()).into_iter();
        Outside {
            tags: lines.lines().filter_map(pair).collect(),
            remotes: GitFixture::REMOTES.map(|remote| (remote.to_owned(), self.git.refs(remote))).into(),
            registry: tags.filter_map(|tag| Some((tag.clone(), self.registry.digest(self.sandbox.name(), &tag)?))).collect(),
            files: self.sandbox.files(),
        }
    }

    /// The image that the registry has under a tag, by the engine's id.
    pub fn pushed_image(&self, tag: &str) -> Option<String> {
        let (status, _, body) = self.registry.request("GET", &format!("/v2/{}/manifests/{tag}", self.sandbox.name()));
        let manifest: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
        manifest["config"]["digest"].as_str().map(str::to_owned)
    }

    /// The record that a finished release leaves, without the two keys that differ from run to run: what it must be, given what is outside.
    pub fn expected_record(&self, outside: &Outside, mirrors: &[&str], floating: &[&str]) -> Value {
        let digest = outside.registry.get(Self::VERSION).cloned().unwrap_or_default();
        json!({
            "version": Self::VERSION,
            "commit": self.git.head(),
            "tag": outside.tags.get(Self::VERSION),
            "image": format!("{}@{digest}", self.image()),
            "digest": digest,
            "image_id": self.image_id(),
            "remote": "origin",
            "mirrors": mirrors,
            "floating": floating,
        })
    }
}
