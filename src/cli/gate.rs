//! Who answers a gate, and the proof of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::app::{App, name_of};
use super::failure::Failure;
use super::forge;
use crate::model::{GateRules, Proof, RunId};

/// The user of the system who types a denial, whatever the environment says.
///
/// # Errors
/// One who may not answer, with who may.
pub fn may_deny(app: &App, step: &str, rules: &GateRules) -> Result<String, Failure> {
    may(app, step, rules, GateRules::lets_deny)
}

fn may(app: &App, step: &str, rules: &GateRules, may: impl Fn(&GateRules, &str) -> bool) -> Result<String, Failure> {
    let user = app.user();
    if rules.is_free() || may(rules, &user) {
        return Ok(user);
    }
    Err(Failure::usage(format!("`{user}` may not answer gate `{step}`")).hint(format!("these may: {}", rules.names())))
}

/// The same for an approval, with its proof. `gate` is its id and digest.
///
/// # Errors
/// One who may not answer, and a proof that is not there.
pub fn approver(app: &App, workdir: &Path, run: &RunId, gate: (&str, &str), rules: &GateRules, question: &str) -> Result<String, Failure> {
    // The approvers are users of the forge, and it is their word that counts, whoever hands it on.
    if let Some(Proof::Forge { url, token }) = &rules.proof {
        return forge::approver(app, &forge::Place { step: gate.0, digest: gate.1, url, token: token.as_deref() }, rules);
    }
    let user = may(app, gate.0, rules, GateRules::admits)?;
    match &rules.proof {
        Some(Proof::Terminal) if !app.ui.interactive => {
            let failure = Failure::usage(format!("gate `{}` is approved at a terminal, and by nothing else", gate.0));
            return Err(failure.hint(format!("type `formula approve {run} {}` at one", gate.0)));
        }
        Some(Proof::Terminal) if !app.ui.confirm(question)? => return Err(Failure::new(21, "nothing was answered")),
        Some(Proof::File { path }) => proven(workdir, path, gate)?,
        Some(Proof::Terminal | Proof::Forge { .. }) | None => {}
    }
    Ok(user)
}

/// Whether the file belongs to whoever types, to nobody else to write, and names the digest.
fn proven(workdir: &Path, path: &str, (step, digest): (&str, &str)) -> Result<(), Failure> {
    let file = workdir.join(path);
    let missing = |why: String| {
        Failure::usage(format!("gate `{step}` is approved with the file `{path}`, and {why}"))
            .hint(format!("as the one who approves: `umask 022; echo {digest} >{}`", file.display()))
    };
    let meta = file.symlink_metadata().map_err(|error| missing(format!("it cannot be read: {error}")))?;
    let (owner, me) = (meta.uid(), rustix::process::getuid().as_raw());
    if !meta.is_file() {
        return Err(missing("it is no plain file".to_owned()));
    }
    if owner != me {
        return Err(missing(format!("it belongs to `{}`, not to you", name_of(owner))));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(missing("others may write to it".to_owned()));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| missing(format!("it cannot be read: {error}")))?;
    if text.split_whitespace().any(|word| word == digest) {
        Ok(())
    } else {
        Err(missing("it does not name the digest of the gate".to_owned()))
    }
}
