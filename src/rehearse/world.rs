//! From what a test file says of the world to the fake world that a run starts in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use formula_steps::world::fake::{FakeAnswer, FakeFile, FakeImage, FakeRef, FakeRegistry, FakeWorld, Remote, Repo, State, TreeFile};
use formula_steps::world::{Cancel, ComposeFile, ImageRef, OutputBuffer, Up};
use futures_util::FutureExt as _;

use super::case::WORK;
use super::file::{Blob, CommitFile, GitFile, ImageFile, RegistryFile, RemoteFile, TextOr, WorldFile};
use crate::model::digest_of_bytes;

/// What cannot be so, and where the file says it.
pub(super) type Problem = (Option<Range<usize>>, String);

/// Makes the world.
pub(super) fn make(file: &WorldFile) -> Result<State, Problem> {
    let work = Path::new(WORK);
    let mut state = file.raw.clone();
    for (path, text) in &file.files {
        state.files.insert(work.join(path), file_of(text));
    }
    if file.raw.repos.is_empty() || file.git.is_some() {
        let repo = match &file.git {
            Some(git) => repository(git)?,
            None => plain_repository(file),
        };
        state.repos.insert(work.to_owned(), repo);
        let written = state.files.clone();
        state.check_out(work);
        // What stands in `files` is how the working tree is, whatever was committed.
        state.files.extend(written);
    }
    for (host, registry) in &file.registries {
        state.registries.insert(host.clone(), registry_of(host, registry)?);
    }
    for (name, image) in &file.images {
        engine_image(&mut state, name, image)?;
    }
    state.credentials.extend(file.credentials.clone());
    for (request, answers) in &file.http {
        let answers = answers.0.iter().map(|answer| match answer {
            TextOr::Text(body) => FakeAnswer::new(200, body),
            TextOr::Whole(answer) => answer.clone(),
        });
        let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
        state.http.answer(method, url, answers);
    }
    state.http.hosts.extend(file.hosts.iter().cloned());
    state.http.listening.extend(file.listening.iter().cloned());
    state.docker.runs.extend(file.containers.clone());
    state.programs.extend(file.programs.clone());
    for path in &file.running {
        state = up(state, path.get_ref()).map_err(|message| (Some(path.span()), message))?;
    }
    Ok(state)
}

fn file_of(text: &TextOr<FakeFile>) -> FakeFile {
    match text {
        TextOr::Text(text) => FakeFile::new(text.as_str()),
        TextOr::Whole(file) => file.clone(),
    }
}

/// One commit of all the files, in step with `origin`.
fn plain_repository(file: &WorldFile) -> Repo {
    let files = file.files.iter().filter(|(path, _)| path.is_relative());
    let text = |text: &TextOr<FakeFile>| TextOr::Text(String::from_utf8_lossy(&file_of(text).bytes).into_owned());
    let files = files.map(|(path, one)| (path.to_string_lossy().into_owned(), text(one))).collect();
    let commit = CommitFile { files, ..CommitFile::default() };
    let git = GitFile { commits: vec![commit], ignored: vec!["**".into()], ..GitFile::default() };
    repository(&git).expect("it names nothing that could be wrong")
}

fn repository(git: &GitFile) -> Result<Repo, Problem> {
    let branch = git.branch.clone().unwrap_or_else(|| "main".into());
    let origin = || BTreeMap::from([("origin".to_owned(), RemoteFile::default())]);
    let described = git.remotes.clone().unwrap_or_else(origin);
    let mut repo = Repo::default();
    repo.ignored.clone_from(&git.ignored);
    let mut remotes: BTreeMap<String, Remote> = BTreeMap::new();
    for (name, remote) in &described {
        let url = remote.url.clone().unwrap_or_else(|| format!("https://forge.test/{name}.git"));
        remotes.insert(name.clone(), Remote { url, down: remote.down, read_only: remote.read_only, ..Remote::default() });
    }
    let (mut tree, mut parent): (BTreeMap<String, TreeFile>, Option<String>) = (BTreeMap::new(), None);
    let plain = [CommitFile::default()];
    let commits = if git.commits.is_empty() { plain.as_slice() } else { &git.commits };
    for commit in commits {
        for (path, file) in &commit.files {
            let Blob { text, executable } = match file {
                TextOr::Text(text) => Blob { text: text.clone(), executable: false },
                TextOr::Whole(blob) => blob.clone(),
            };
            tree.insert(path.clone(), TreeFile { text, executable });
        }
        tree.retain(|path, _| !commit.removes.contains(path));
        // Through the repository, which knows how a commit gets its id.
        let mut scratch = Repo::default();
        let files: Vec<(&str, &str)> = tree.iter().map(|(path, file)| (path.as_str(), file.text.as_str())).collect();
        let parents: Vec<&str> = parent.iter().map(String::as_str).collect();
        let id = scratch.add_commit(&parents, &files);
        let mut made = scratch.commits.remove(&id).expect("it was just added");
        made.files.clone_from(&tree);
        if !commit.remote_only {
            repo.commits.insert(id.clone(), made.clone());
            repo.branches.insert(branch.clone(), id.clone());
        }
        let tag = commit.tag.as_ref().map(|tag| (tag, FakeRef::annotated(&object(tag, &id), &id, tag)));
        if let Some((tag, made)) = tag.clone().filter(|_| !commit.remote_only) {
            repo.tags.insert(tag.clone(), made);
        }
        for (name, remote) in remotes.iter_mut().filter(|_| !commit.local_only) {
            remote.commits.insert(id.clone(), made.clone());
            remote.refs.insert(format!("refs/heads/{branch}"), FakeRef::commit(&id));
            if let Some((tag, made)) = tag.clone().filter(|(tag, _)| !described[name].lacks.contains(tag)) {
                remote.refs.insert(format!("refs/tags/{tag}"), made);
            }
        }
        parent = Some(id);
    }
    for (name, remote) in &remotes {
        if let Some(known) = repo.branches.get(&branch).filter(|id| remote.commits.contains_key(*id)) {
            repo.tracking.insert(format!("{name}/{branch}"), known.clone());
        }
    }
    repo.remotes = remotes;
    stand(&mut repo, &branch, git)?;
    Ok(repo)
}

/// Puts HEAD where it is.
fn stand(repo: &mut Repo, branch: &str, git: &GitFile) -> Result<(), Problem> {
    let last = repo.branches.get(branch).cloned();
    let last = last.ok_or_else(|| (None, "all commits of `world.git` are `remote_only`: one must be here".to_owned()))?;
    let at = git.at.as_ref().map(|at| (at.get_ref(), at.span()));
    match at {
        Some((at, _)) if at != branch => {
            let Some(tag) = repo.tags.get(at) else {
                let message = format!("`{at}` is neither the branch `{branch}` nor a tag of a commit that is here");
                return Err((git.at.as_ref().map(toml::Spanned::span), message));
            };
            repo.head.clone_from(&tag.commit);
        }
        _ => (repo.head, repo.branch) = (last, Some(branch.to_owned())),
    }
    Ok(())
}

/// The id of a tag object.
fn object(tag: &str, commit: &str) -> String {
    digest_of_bytes(format!("tag {tag} {commit}").as_bytes())["sha256:".len()..][..40].to_owned()
}

fn image_of(image: &ImageFile) -> FakeImage {
    FakeImage { labels: image.labels.clone(), volumes: image.volumes.clone(), size: 1000, ..FakeImage::default() }
}

/// The same image has the same id wherever it is.
fn id_of(name: &ImageRef, image: &ImageFile) -> String {
    digest_of_bytes(format!("{name} {:?} {:?}", image.labels, image.volumes).as_bytes())
}

fn parse(reference: &str, at: Range<usize>) -> Result<ImageRef, Problem> {
    ImageRef::parse(reference).map_err(|error| (Some(at), format!("`{reference}` is no image: {}", error.message)))
}

fn registry_of(host: &str, file: &RegistryFile) -> Result<FakeRegistry, Problem> {
    let mut registry = FakeRegistry {
        down: file.down,
        users: file.users.clone(),
        public: file.public,
        no_delete: file.no_delete,
        immutable: file.immutable,
        ..FakeRegistry::default()
    };
    for (name, image) in &file.images {
        let parsed = parse(&format!("{host}/{}", name.get_ref()), name.span())?;
        let repository = registry.repositories.entry(parsed.repository.clone()).or_default();
        repository.put(parsed.tag.as_deref().unwrap_or("latest"), &id_of(&parsed, image), &image_of(image));
    }
    Ok(registry)
}

fn engine_image(state: &mut State, name: &toml::Spanned<String>, file: &ImageFile) -> Result<(), Problem> {
    let parsed = parse(name.get_ref(), name.span())?;
    let tag = parsed.tag.as_deref().unwrap_or("latest");
    let mut image = image_of(file);
    image.tags.push(parsed.with_tag(tag).to_string());
    let repository = state.registries.get(&parsed.registry).and_then(|registry| registry.repositories.get(&parsed.repository));
    if let Some(digest) = repository.and_then(|repository| repository.tags.get(tag)) {
        image.digests.push(parsed.with_digest(digest).to_string());
    }
    state.docker.images.insert(id_of(&parsed, file), image);
    Ok(())
}

/// Brings up a compose file, as somebody did before the run.
fn up(state: State, path: &Path) -> Result<State, String> {
    let fake = FakeWorld::from_state(state);
    let file = ComposeFile {
        dir: PathBuf::from(WORK),
        file: Path::new(WORK).join(path),
        project: None,
        env_file: None,
        profiles: Vec::new(),
        env: BTreeMap::new(),
    };
    let (world, output, cancel) = (fake.world(), OutputBuffer::new(), Cancel::new());
    let done = world.compose.up(&file, &Up::default(), &output, &cancel).now_or_never();
    done.ok_or("it cannot be brought up at once")?
        .map_err(|error| format!("`{}` cannot be brought up: {}", path.display(), error.message))?;
    let mut state = fake.state();
    // Another world counts from the beginning again.
    for (_, mut container) in std::mem::take(&mut state.docker.containers) {
        container.id = format!("before-{}", container.name);
        state.docker.containers.insert(container.id.clone(), container);
    }
    Ok(state)
}
