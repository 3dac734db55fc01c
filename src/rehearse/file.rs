//! The authored shape of a test file: what is in the fake world, how `shell` steps act, what goes wrong and what must come of it.
//!
//! Read with serde, so that unknown keys and wrong types are found with their place. What the keys mean for a formula is settled in
//! `case.rs`; `docs/guide/test-files.md` is for those who write one.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use formula_steps::world::fake::{FakeAnswer, FakeCredentials, FakeFile, FakeProgram, FakeRun, State};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use toml::Spanned;

/// A whole file, the `[test]` table of a formula, or one `[[case]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TestFile {
    /// Name of a case.
    pub name: Option<Spanned<String>>,
    /// Values of the formula's vars.
    pub vars: BTreeMap<Spanned<String>, Value>,
    /// Fake values of its secrets; one that it needs and that is not given is made up.
    pub secrets: BTreeMap<Spanned<String>, String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// What is there when the run starts.
    pub world: WorldFile,
    /// What `shell` steps do, by step.
    pub shell: BTreeMap<Spanned<String>, Deed>,
    /// What a person answers, by gate.
    pub gates: BTreeMap<Spanned<String>, Answer>,
    /// What goes wrong.
    pub fault: Vec<FaultFile>,
    /// What must come of it.
    pub expect: Option<Expect>,
    /// Steps that may act again when the same formula is run anew on what it left.
    pub acts_again: Vec<Spanned<String>>,
    /// Steps whose effect a rollback leaves where it is, although they have an undo.
    pub left_alone: Vec<Spanned<String>>,
    /// Several tries of the same formula; each takes what stands outside of it and adds its own.
    pub case: Vec<TestFile>,
}

/// The start of the fake world. Paths count from the working directory, which is `/box`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WorldFile {
    /// Files: a text, or a table with `text`, `base64` or `link`, and `mode`.
    pub files: BTreeMap<PathBuf, TextOr<FakeFile>>,
    /// The repository of the working directory; without one, a commit of `files` on branch main, in step with the remote `origin`.
    pub git: Option<GitFile>,
    /// Images of the engine, by reference.
    pub images: BTreeMap<Spanned<String>, ImageFile>,
    /// Registries, by host.
    pub registries: BTreeMap<String, RegistryFile>,
    /// What the user's Docker configuration holds, by host.
    pub credentials: BTreeMap<String, FakeCredentials>,
    /// Answers by `METHOD address`, in turn; a text is the body of one that stays.
    pub http: BTreeMap<String, OneOrMore<TextOr<FakeAnswer>>>,
    /// Hosts whose other addresses answer 404.
    pub hosts: Vec<String>,
    /// Addresses that accept connections.
    pub listening: Vec<String>,
    /// How containers turn out, by the reference of their image.
    pub containers: BTreeMap<String, FakeRun>,
    /// Compose files that are up.
    pub running: Vec<Spanned<PathBuf>>,
    /// What programs do that are not those of a `shell` step.
    pub programs: Vec<FakeProgram>,
    /// The fake world as it is kept, for what the other keys cannot say.
    pub raw: State,
}

/// A repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GitFile {
    /// The branch that the commits are on.
    pub branch: Option<String>,
    /// What HEAD is at: a tag, or the branch; the last commit where it is left out.
    pub at: Option<Spanned<String>>,
    /// Patterns that git ignores.
    pub ignored: Vec<String>,
    /// Remotes; `origin` where it is left out.
    pub remotes: Option<BTreeMap<String, RemoteFile>>,
    /// Commits, each after the one before.
    pub commits: Vec<CommitFile>,
}

/// A commit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CommitFile {
    /// A tag on it.
    pub tag: Option<String>,
    /// Files that it adds or changes.
    pub files: BTreeMap<String, TextOr<Blob>>,
    /// Files that it removes.
    pub removes: Vec<String>,
    /// Only the remotes have it, until it is fetched.
    pub remote_only: bool,
    /// No remote has it.
    pub local_only: bool,
}

/// A file of a commit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Blob {
    /// Its text.
    pub text: String,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A remote. It has all commits and tags that are not `local_only`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RemoteFile {
    /// Its address.
    pub url: Option<String>,
    /// Nobody answers.
    pub down: bool,
    /// Pushes are turned away.
    pub read_only: bool,
    /// Tags that it does not have.
    pub lacks: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ImageFile {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Volumes that it declares.
    pub volumes: Vec<String>,
}

/// A registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RegistryFile {
    /// Nobody answers.
    pub down: bool,
    /// Who may come in, with passwords; empty for everybody.
    pub users: BTreeMap<String, String>,
    /// Everybody may read.
    pub public: bool,
    /// Manifests cannot be deleted.
    pub no_delete: bool,
    /// A tag that is there cannot be moved.
    pub immutable: bool,
    /// Images by `repository:tag`.
    pub images: BTreeMap<Spanned<String>, ImageFile>,
}

/// What a `shell` step does, or the probe or undo of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Deed {
    /// Exit code.
    pub exit: i32,
    /// What it prints.
    pub stdout: String,
    /// Seconds it takes.
    pub seconds: u64,
    /// Its outputs, by name.
    pub outputs: BTreeMap<String, Value>,
    /// Files that it writes. In texts and paths `${NAME}` is a variable of its environment.
    pub writes: BTreeMap<PathBuf, String>,
    /// Files that it removes.
    pub removes: Vec<PathBuf>,
    /// Permission bits that it gives to files.
    pub modes: BTreeMap<PathBuf, u32>,
    /// Symbolic links that it makes.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Addresses that it gives to remotes of the repository.
    pub remotes: BTreeMap<String, String>,
    /// Compose projects that it stops.
    pub stops: Vec<String>,
    /// Compose projects that it starts.
    pub starts: Vec<String>,
    /// It was done before the run.
    pub done: bool,
    /// What its probe does; left out, it tells whether the step was done and not taken back.
    pub probe: Option<Box<Deed>>,
    /// What taking it back does; left out, everything is put back as it was at the start.
    pub undo: Option<Box<Deed>>,
}

/// What a person says at a gate, or a gate's probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// Go on.
    #[default]
    Approve,
    /// Stop here.
    Deny,
    /// Nobody answers until the gate's time is up.
    Expire,
}

/// A step that fails, or a call of a port within it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultFile {
    /// The step.
    pub step: Spanned<String>,
    /// The call that fails while the step is at work, such as `registry.manifest`; the step as a whole where it is left out.
    pub call: Option<Spanned<String>>,
    /// How often it fails.
    #[serde(default = "once")]
    pub times: u32,
    /// It always fails.
    #[serde(default)]
    pub always: bool,
    /// A status code of HTTP, `transient`, `permanent`, `refused`, `timeout`, or the words of a failure that stays.
    pub with: Spanned<Value>,
    /// The effect takes place, and the answer is lost.
    #[serde(default)]
    pub after: bool,
}

fn once() -> u32 {
    1
}

/// What must come of the run that nothing interrupts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expect {
    /// Exit code; 0 where neither this nor `outcome` is given.
    pub exit: Option<u8>,
    /// How it ends, such as `done` or `rolled_back`.
    pub outcome: Option<String>,
    /// Steps in the order in which they begin; others may come between.
    pub order: Vec<Spanned<String>>,
    /// States of steps, such as `done` or `skipped`.
    pub states: BTreeMap<Spanned<String>, String>,
    /// Outputs by `step.name`.
    pub outputs: BTreeMap<String, Value>,
    /// Files: the whole text, `false` for none, or a table with `contains` and `mode`.
    pub files: BTreeMap<PathBuf, FileFact>,
    /// Tags of the repository.
    pub tags: Vec<String>,
    /// Refs of remotes.
    pub remotes: BTreeMap<String, Vec<String>>,
    /// Images of the engine.
    pub images: Vec<String>,
    /// Images of registries.
    pub published: Vec<String>,
    /// Containers, with the reference of the image that they run.
    pub running: BTreeMap<String, String>,
    /// Bodies of addresses.
    pub http: BTreeMap<String, String>,
}

/// What is so of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FileFact {
    /// There is none.
    Absent,
    /// Its whole text.
    Text(String),
    /// Some of it.
    Part(FilePart),
}

/// Some of what is so of a file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilePart {
    /// Parts of its text.
    pub contains: Vec<String>,
    /// Its permission bits.
    pub mode: Option<u32>,
}

/// A text, or a table that says more.
#[derive(Debug, Clone)]
pub(super) enum TextOr<T> {
    /// The text.
    Text(String),
    /// The table.
    Whole(T),
}

/// One, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore<T>(pub Vec<T>);

struct TextOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
    type Value = TextOr<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a table")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Whole)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<TextOr<T>> {
    type Value = OneOrMore<TextOr<T>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a table or a list of them")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(OneOrMore(vec![TextOr::Text(text.to_owned())]))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(OneOrMore(vec![TextOr::Whole(T::deserialize(MapAccessDeserializer::new(map))?)]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(OneOrMore(all))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<TextOr<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor(PhantomData))
    }
}

struct FileFactVisitor;

impl<'de> Visitor<'de> for FileFactVisitor {
    type Value = FileFact;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, `false` for no file, or a table with `contains` and `mode`")
    }
    fn visit_bool<E: Error>(self, there: bool) -> Result<FileFact, E> {
        Ok(if there { FileFact::Part(FilePart::default()) } else { FileFact::Absent })
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<FileFact, E> {
        Ok(FileFact::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileFact, A::Error> {
        FilePart::deserialize(MapAccessDeserializer::new(map)).map(FileFact::Part)
    }
}

impl<'de> Deserialize<'de> for FileFact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FileFactVisitor)
    }
}
