//! What compose said a file means, for as long as nothing that it read has changed.
//!
//! A run asks about the same file in one step after another, and compose takes its time for each answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::world::{ComposeFile, ComposeService};

/// A file with one of these words may mean more than what is in it and its env file: such an answer is not kept.
const READS_MORE: [&str; 7] = ["include", "extends", "env_file", "label_file", "configs", "secrets", "provider"];
/// With this compose reads env files that no argument names.
const MORE_ENV_FILES: &str = "COMPOSE_ENV_FILES";
/// So many answers are kept.
const MOST: usize = 8;

/// All that an answer depends on. Env files hold secrets: it is not for messages.
///
/// Where the file is does not count: every call names the folder that its paths count from. So a file that was judged before it took its
/// place need not be read again there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Inputs {
    dir: PathBuf,
    project: Option<String>,
    profiles: Vec<String>,
    env: BTreeMap<String, String>,
    text: Vec<u8>,
    env_file: Option<(PathBuf, Vec<u8>)>,
}

type Answer = (String, Vec<ComposeService>);

/// Answers by what they depend on, the oldest first.
#[derive(Default)]
pub(super) struct Seen {
    kept: Mutex<Vec<(Inputs, Answer)>>,
}

impl Seen {
    pub(super) fn get(&self, inputs: &Inputs) -> Option<Answer> {
        let kept = self.kept.lock().expect("nobody panics with it");
        kept.iter().find(|(of, _)| of == inputs).map(|(_, answer)| answer.clone())
    }

    pub(super) fn put(&self, inputs: Inputs, project: &str, services: &[ComposeService]) {
        let mut kept = self.kept.lock().expect("nobody panics with it");
        kept.retain(|(of, _)| *of != inputs);
        if kept.len() >= MOST {
            kept.remove(0);
        }
        kept.push((inputs, (project.to_owned(), services.to_vec())));
    }
}

/// What the answer about that file depends on, None where it may depend on more, or where a file cannot be read: compose will say why.
/// `env` is the environment that compose gets; what the step adds to it is in `file`.
pub(super) async fn inputs(file: &ComposeFile, env: &BTreeMap<String, String>) -> Option<Inputs> {
    if [env, &file.env].into_iter().any(|env| env.contains_key(MORE_ENV_FILES)) {
        return None;
    }
    let text = tokio::fs::read(&file.file).await.ok()?;
    let shown = String::from_utf8_lossy(&text);
    if READS_MORE.iter().any(|word| shown.contains(word)) {
        return None;
    }
    let path = file.env_file.clone().unwrap_or_else(|| file.dir.join(".env"));
    let env_file = match tokio::fs::read(&path).await {
        Ok(bytes) => Some((path, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.env_file.is_none() => None,
        Err(_) => return None,
    };
    Some(Inputs {
        dir: file.dir.clone(),
        project: file.project.clone(),
        profiles: file.profiles.clone(),
        env: file.env.clone(),
        text,
        env_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_kept_until_something_that_it_depends_on_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it is ours");
        write("compose.yml", "services: {}\n");
        let mut file = ComposeFile {
            dir: folder.path().into(),
            file: folder.path().join("compose.yml"),
            project: None,
            env_file: None,
            profiles: Vec::new(),
            env: BTreeMap::new(),
        };
        let seen = Seen::default();
        let nothing = BTreeMap::new();
        let bare = inputs(&file, &nothing).await.expect("it can be read");
        assert_eq!(seen.get(&bare), None);
        seen.put(bare.clone(), "shop", &[]);
        assert_eq!(seen.get(&inputs(&file, &nothing).await.expect("as before")), Some(("shop".to_owned(), Vec::new())));
        for change in [("compose.yml", "services: {a: {}}\n"), (".env", "A=1\n"), (".env", "A=2\n")] {
            write(change.0, change.1);
            let now = inputs(&file, &nothing).await.expect("it can be read");
            assert_eq!(seen.get(&now), None, "{change:?}");
            seen.put(now, "shop", &[]);
        }
        write("elsewhere.yml", "services: {a: {}}\n");
        let other = ComposeFile { file: folder.path().join("elsewhere.yml"), ..file.clone() };
        assert!(seen.get(&inputs(&other, &nothing).await.expect("it can be read")).is_some(), "the same words in another place");
        file.profiles.push("debug".into());
        assert_eq!(seen.get(&inputs(&file, &nothing).await.expect("it can be read")), None);
        for more in ["include: [other.yml]\n", "services: {a: {env_file: a.env}}\n"] {
            write("compose.yml", more);
            assert!(inputs(&file, &nothing).await.is_none(), "{more}");
        }
        write("compose.yml", "services: {}\n");
        assert!(inputs(&file, &nothing).await.is_some());
        assert!(inputs(&file, &BTreeMap::from([(MORE_ENV_FILES.to_owned(), "other.env".to_owned())])).await.is_none());
        for number in 0..20 {
            seen.put(Inputs { project: Some(number.to_string()), ..bare.clone() }, "shop", &[]);
        }
        assert_eq!(seen.kept.lock().expect("nobody panics").len(), MOST);
    }
}
