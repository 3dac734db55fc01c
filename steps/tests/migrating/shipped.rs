//! The canonical migrations that are shipped, run by the kind as a box runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formula_steps::contract::{StepError, StepType};
use formula_steps::migrate::Migrate;
use serde_json::{Value, json};

use super::place::{Place, place};
use crate::support::{Folder, Tags, docker, docker_quietly, engine_or_skip};

fn canonical() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/canonical")
}

/// A box with one of them as the migration of a release.
fn with(name: &str, env: &[(&str, &str)]) -> Place {
    let mut place = place();
    for entry in fs::read_dir(canonical().join(name)).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        place.write(&format!("migrations/v0.3.0/{}", entry.file_name().to_str().unwrap()), &text);
    }
    let home = place.root.join("home");
    fs::create_dir(&home).unwrap();
    #[expect(clippy::disallowed_methods, reason = "where the engine and its program are is the machine's affair")]
    let engine = std::env::var("DOCKER_HOST").ok();
    let mut base = place.env.clone();
    base.insert("HOME".into(), home.to_str().unwrap().into());
    base.extend(engine.map(|host| ("DOCKER_HOST".to_owned(), host)));
    place.cx.base_env = Arc::new(base);
    place.cx.env = Arc::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    place
}

impl Place {
    async fn phase(&self, phase: &str) -> Result<Value, StepError> {
        StepType::run(&Migrate, &self.cx, &json!({ "to": "v0.3.0", "phase": phase, "from": "v0.2.0" }), None).await
    }

    async fn phase_back(&self, phase: &str) {
        StepType::undo(&Migrate, &self.cx, &json!({ "to": "v0.3.0", "phase": phase }), None, None).await.unwrap();
    }

    /// Runs its `pre.sh` once more, as after a cut.
    fn again(&self) -> bool {
        let script = self.root.join("work/migrations/v0.3.0/pre.sh");
        let mut command = std::process::Command::new("sh");
        command.arg(script).current_dir(self.root.join("work")).env_clear().envs(self.cx.base_env.iter()).envs(self.cx.env.iter());
        command.env("FORMULA_ENV_FILE", self.root.join("work/.env")).env("FORMULA_ROOT", self.root.join("work"));
        command.output().unwrap().status.success()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn all_of_them_are_posix_scripts_with_a_summary() {
    let mut scripts = 0;
    for folder in fs::read_dir(canonical()).unwrap().flatten() {
        let declared: toml::Table = fs::read_to_string(folder.path().join("migration.toml")).unwrap().parse().unwrap();
        assert!(declared["summary"].as_str().is_some_and(|summary| !summary.is_empty()));
        for file in fs::read_dir(folder.path()).unwrap().flatten().filter(|file| file.path().extension().is_some_and(|end| end == "sh")) {
            let checked = std::process::Command::new("sh").arg("-n").arg(file.path()).output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
            scripts += 1;
        }
    }
    assert!(scripts >= 9);
}

#[tokio::test]
async fn m5_a_populated_directory_moves_and_leaves_a_link() {
    let place = with("m1-config-dir", &[]);
    let (home, target) = (place.root.join("home/.claude"), place.root.join("shared/config"));
    place.write(".env", &format!("# CLAUDE_CONFIG_DIR=/no\nexport CLAUDE_CONFIG_DIR='{}' # shared\n", target.display()));
    fs::create_dir_all(home.join("sub")).unwrap();
    fs::write(home.join("sub/.credentials"), "x").unwrap();
    fs::create_dir_all(&target).unwrap();
    place.phase("pre").await.unwrap();
    let as_it_should_be = || {
        assert_eq!((fs::read_link(&home).unwrap(), mode(&target)), (target.clone(), 0o700));
        assert_eq!(fs::read_to_string(target.join("sub/.credentials")).unwrap(), "x");
        assert_eq!(fs::read_dir(place.root.join("home")).unwrap().count() + fs::read_dir(place.root.join("shared")).unwrap().count(), 2);
    };
    as_it_should_be();
    assert!(place.again(), "the second time nothing happens");
    as_it_should_be();
    // Cut off after the old directory was renamed, and after the copy got its name.
    fs::remove_file(&home).unwrap();
    fs::create_dir(home.with_file_name(".claude.before-migration")).unwrap();
    assert!(place.again());
    as_it_should_be();
    fs::remove_file(&home).unwrap();
    fs::rename(&target, target.with_file_name("config.migrating")).unwrap();
    fs::create_dir(home.with_file_name(".claude.before-migration")).unwrap();
    assert!(place.again());
    as_it_should_be();
}

#[tokio::test]
async fn m6_two_populated_directories_are_left_alone() {
    let place = with("m1-config-dir", &[]);
    let (home, target) = (place.root.join("home/.claude"), place.root.join("config"));
    place.write(".env", &format!("CLAUDE_CONFIG_DIR={}\n", target.display()));
    for folder in [&home, &target] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
    }
    let error = place.phase("pre").await.unwrap_err();
    assert!(error.message.contains("hold files; nothing was changed") && error.message.contains("diff -r"), "{error}");
    assert!(home.join("file").exists() && !home.is_symlink() && target.join("file").exists());
    fs::remove_file(target.join("file")).unwrap();
    place.phase("pre").await.unwrap();
    assert!(home.is_symlink() && target.join("file").exists());
}

#[tokio::test]
async fn m7_where_there_is_nothing_both_are_made() {
    let place = with("m1-config-dir", &[]);
    let (home, target) = (place.root.join("home/.claude"), place.root.join("deep/er/config"));
    place.write(".env", &format!("CLAUDE_CONFIG_DIR={}\n", target.display()));
    place.phase("pre").await.unwrap();
    assert_eq!((fs::read_link(&home).unwrap(), mode(&target)), (target, 0o700));
}

#[tokio::test]
async fn m7_without_consent_there_is_a_warning() {
    let place = with("m1-config-dir", &[("CONFIG_MOVE", "no")]);
    fs::create_dir(place.root.join("home/.claude")).unwrap();
    place.phase("pre").await.unwrap();
    assert!(place.log.text().contains("warning: ") && !place.root.join("home/.claude").is_symlink());
}

#[tokio::test]
async fn m8_credentials_leave_the_remotes_and_git_asks_the_environment() {
    let place = with("m2-credentials", &[]);
    for (name, url) in
        [("a", "http://u:p@h/o/r.git"), ("b", "ssh://git@h/x"), ("c", "https://h/clean.git"), ("d", "https://ghp_x@g:3000/y?q=@")]
    {
        place.git(&["remote", "add", name, url]);
    }
    place.git(&["remote", "set-url", "--push", "b", "https://u:p%40@h/push.git"]);
    place.phase("pre").await.unwrap();
    let remotes = place.git(&["config", "--get-regexp", "^remote\\..*url$"]);
    let expected = "remote.a.url http://h/o/r.git\nremote.b.url ssh://git@h/x\nremote.b.pushurl https://h/push.git\n\
                    remote.c.url https://h/clean.git\nremote.d.url https://g:3000/y?q=@";
    assert_eq!(remotes, expected);
    let config = place.text(".git/config");
    assert!(!config.contains("u:p") && !config.contains("ghp_x"), "{config}");
    let told = place.log.text();
    assert!(told.contains("rotate them") && !told.contains("ghp_x"), "{told}");
    // The helper answers from the environment alone.
    let mut ask = std::process::Command::new("git");
    ask.args(["credential", "fill"]).current_dir(place.root.join("work")).env_clear().envs(&place.env);
    ask.env("FORGE_TOKEN", "t&k n").env("FORGE_USER", "bot").env("GIT_TERMINAL_PROMPT", "0");
    let mut child = ask.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"protocol=http\nhost=h\n\n").unwrap();
    let answer = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer.contains("username=bot\npassword=t&k n\n"), "{answer}");
    assert!(place.again() && place.text(".git/config") == config, "the second time nothing happens");
}

const OLD: &str = "# FORGE_TOKEN_LLAMA=no\nFORGE_TOKEN_LLAMA=first\nA='x y'\nexport FORGE_TOKEN_LLAMA='tok&|\\s' # mine\nFORGE_TOKEN_LLAMA_2=1\n\
                   FORGE_PASS_LLAMA=same\nFORGE_PASS_DEV_QWEN=same\nENABLE_LLAMA_AGENT=1";

#[tokio::test]
async fn m9_keys_get_their_new_names_and_legacy_ones_go() {
    let place = with("m3-key-renames", &[]);
    place.write(".env", OLD);
    fs::set_permissions(place.root.join("work/.env"), fs::Permissions::from_mode(0o640)).unwrap();
    place.phase("pre").await.unwrap();
    let text = place.text(".env");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = ["A='x y'", "export FORGE_TOKEN_DEV_QWEN='tok&|\\s' # mine", "FORGE_TOKEN_LLAMA_2=1", "FORGE_PASS_DEV_QWEN=same"];
    assert_eq!(lines, expected);
    assert_eq!(mode(&place.root.join("work/.env")), 0o640);
    assert!(!place.log.text().contains("tok"), "no value is shown");
    assert!(place.again() && place.text(".env") == text, "the second time nothing happens");
    place.phase_back("pre").await;
    assert_eq!(place.text(".env"), OLD, "byte for byte");
}

#[tokio::test]
async fn m9_two_values_for_one_key_are_left_to_a_person() {
    let place = with("m3-key-renames", &[("RENAMES", "MINE=OTHER")]);
    let text = "MINE=1\nOTHER=2\n";
    place.write(".env", text);
    let error = place.phase("pre").await.unwrap_err();
    assert!(error.message.contains("both MINE and OTHER are set, to different values"), "{error}");
    assert_eq!(place.text(".env"), text);
    place.write(".env", "OTHER=\nMINE=1\n");
    place.phase("pre").await.unwrap();
    assert_eq!(place.text(".env"), "#m3- OTHER=\n#m3+ MINE=1\nOTHER=1\n");
}

#[tokio::test]
async fn the_bundle_is_split_proven_deleted_and_made_again() {
    // Its own inverse, which is all that matters here.
    let seal = "tr a-zA-Z n-za-mN-ZA-M";
    let commands = ["BUNDLE_ENCRYPT", "BUNDLE_DECRYPT", "SECRET_ENCRYPT", "SECRET_DECRYPT"].map(|name| (name, seal));
    let mut place = with("m4-split-bundle", &commands);
    let turned = |c: char, first: u8| char::from(first + (c as u8 - first + 13) % 26);
    let sealed = |text: &str| {
        let letter = |c: char| match c {
            'a'..='z' => turned(c, b'a'),
            'A'..='Z' => turned(c, b'A'),
            other => other,
        };
        text.chars().map(letter).collect::<String>()
    };
    place.write(".env.vault.enc", &sealed("# keys\nGITHUB_TOKEN=gh p=1'\"\nDEPLOY_KEY=k\n"));
    place.write("secrets/DEPLOY_KEY.enc", &sealed("other"));
    let error = place.phase("pre").await.unwrap_err();
    assert!(error.message.contains("secrets/DEPLOY_KEY.enc is there and holds another value"), "{error}");
    place.write("secrets/DEPLOY_KEY.enc", &sealed("k"));
    place.phase("pre").await.unwrap();
    assert_eq!(place.text("secrets/GITHUB_TOKEN.enc"), sealed("gh p=1'\""));
    assert_eq!(mode(&place.root.join("work/secrets/GITHUB_TOKEN.enc")), 0o600);
    assert!(place.root.join("work/.env.vault.enc").exists(), "until the box is healthy");
    // One that does not come back keeps the bundle.
    let good = place.text("secrets/GITHUB_TOKEN.enc");
    place.write("secrets/GITHUB_TOKEN.enc", &sealed("lost"));
    assert!(place.phase("post").await.unwrap_err().message.contains("nothing was deleted"));
    place.write("secrets/GITHUB_TOKEN.enc", &good);
    place.phase("post").await.unwrap();
    assert!(!place.root.join("work/.env.vault.enc").exists());
    // Back: the bundle first, then the files that were made.
    place.phase_back("post").await;
    assert_eq!(place.text(".env.vault.enc"), sealed("GITHUB_TOKEN=gh p=1'\"\nDEPLOY_KEY=k\n"));
    place.run_named("run");
    place.phase_back("pre").await;
    assert!(!place.root.join("work/secrets/GITHUB_TOKEN.enc").exists() && place.root.join("work/secrets/DEPLOY_KEY.enc").exists());
    assert!(!place.log.text().contains("gh p"), "no value is shown");
}

/// Volumes of a test, gone with it.
struct Volumes(Vec<String>);

impl Drop for Volumes {
    fn drop(&mut self) {
        for name in &self.0 {
            docker_quietly(&["volume", "rm", "-f", name]);
        }
    }
}

/// An image with a shell and its tools, as a box has one.
fn image(tags: &Tags) -> String {
    let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\nLABEL formula.test=1\n";
    let folder = Folder::with_busybox(&[("Dockerfile", dockerfile)]);
    let name = tags.local().to_string();
    docker(&["build", "--no-cache", "-q", "-t", &name, folder.path().to_str().unwrap()]);
    name
}

#[tokio::test]
async fn m8_clones_in_a_volume_are_cleaned_as_their_owners() {
    engine_or_skip!("m8_clones_in_a_volume_are_cleaned_as_their_owners");
    let tags = Tags::default();
    let image = image(&tags);
    let volume = format!("formula-test-{}-m2", std::process::id());
    let volumes = Volumes(vec![volume.clone()]);
    docker(&["volume", "create", "--label", "formula.test=1", &volume]);
    let mount = format!("{volume}:/v");
    let inside = |script: &str| docker(&["run", "--rm", "-v", &mount, &image, "sh", "-c", script]);
    inside(
        "for name in one two; do mkdir -p /v/$name/.git; printf '[core]\\n\\tbare = false\\n[remote \"o\"]\\n\\turl = http://u:p@h/%s\\n' $name >/v/$name/.git/config; done; \
         chown -R 1000:1000 /v/one; chown -R 1001:1001 /v/two; chmod 640 /v/*/.git/config",
    );
    let names = format!("{volume} {volume}-none");
    let place = with("m2-credentials", &[("CREDENTIALS_VOLUMES", &names), ("CREDENTIALS_IMAGE", &image)]);
    place.phase("pre").await.unwrap();
    let seen = inside("stat -c '%u:%g %a' /v/*/.git/config; ls -A /v/one/.git; grep -h -e url -e credential /v/*/.git/config");
    let expected = "1000:1000 640\n1001:1001 640\nconfig\n\turl = http://h/one\n[credential \"http://h\"]\n\turl = http://h/two\n[credential \"http://h\"]";
    assert_eq!(seen, expected.trim());
    assert!(docker_quietly(&["volume", "inspect", &format!("{volume}-none")]).is_empty(), "no volume is made by looking");
    drop(volumes);
}

#[tokio::test]
async fn agents_get_volumes_of_their_own_and_the_shared_one_stays() {
    engine_or_skip!("agents_get_volumes_of_their_own_and_the_shared_one_stays");
    let tags = Tags::default();
    let image = image(&tags);
    let project = format!("formula-test-{}-m5", std::process::id());
    let (shared, own) = (format!("{project}_repos"), format!("{project}_repos-dev"));
    let volumes = Volumes(vec![shared.clone(), own.clone()]);
    docker(&["volume", "create", "--label", "formula.test=1", &shared]);
    let look = |volume: &str, script: &str| docker(&["run", "--rm", "-v", &format!("{volume}:/v"), &image, "sh", "-c", script]);
    look(&shared, "echo work >/v/worktree; chown 1000:1000 /v; chmod 750 /v");
    let env = [("HANDOVER", "repos:repos-dev"), ("HANDOVER_IMAGE", &image), ("COMPOSE_PROJECT_NAME", &project)];
    let place = with("m5-own-volumes", &env);
    place.phase("pre").await.unwrap();
    assert_eq!(look(&own, "stat -c '%u:%g %a' /v; ls -A /v"), "1000:1000 750", "fresh, and its owner's");
    let labels = docker(&[
        "volume",
        "inspect",
        "-f",
        "{{index .Labels \"com.docker.compose.project\"}} {{index .Labels \"com.docker.compose.volume\"}}",
        &own,
    ]);
    assert_eq!(labels, format!("{project} repos-dev"));
    assert!(place.again(), "the second time nothing happens");
    place.phase_back("pre").await;
    assert!(docker_quietly(&["volume", "inspect", &own]).is_empty());
    assert_eq!(look(&shared, "cat /v/worktree"), "work");
    drop(volumes);
}
