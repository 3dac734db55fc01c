//! `shell` with real programs and real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use formula_steps::contract::{Class, Context, Probe, StepError, StepType};
use formula_steps::shell::Shell;
use formula_steps::world::fake::FakeWorld;
use formula_steps::world::real::{RealClock, RealFiles, RealProcess};
use formula_steps::world::{CancelLevel, Output, OutputBuffer, Secret};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

struct Place {
    root: TempDir,
    cx: Context,
    log: Arc<OutputBuffer>,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(root.path()).unwrap();
    for folder in ["work", "scratch"] {
        fs::create_dir(path.join(folder)).unwrap();
    }
    let mut world = FakeWorld::new().world();
    world.files = Arc::new(RealFiles::default());
    world.process = Arc::new(RealProcess::new());
    world.clock = Arc::new(RealClock::new());
    let log = Arc::new(OutputBuffer::new());
    let mut cx = Context::bare(world, &path.join("work"));
    cx.scratch = Arc::from(path.join("scratch"));
    cx.output = log.clone();
    Place { root, cx, log }
}

impl Place {
    async fn run(&self, params: Value) -> Result<Value, StepError> {
        StepType::run(&Shell, &self.cx, &params, None).await
    }

    async fn probe(&self, params: &Value) -> Probe<Value, Value> {
        StepType::probe(&Shell, &self.cx, params).await.unwrap()
    }
}

#[tokio::test]
async fn outputs_come_from_a_file_for_the_user_alone_that_goes_afterwards() {
    let place = place();
    let script = "stat -c 'mode=%a' \"$FORMULA_OUTPUT\" >>\"$FORMULA_OUTPUT\"; echo two=\"a b\" >>\"$FORMULA_OUTPUT\"; echo done";
    let output = place.run(json!({ "script": script, "outputs": ["mode", "two"] })).await.unwrap();
    assert_eq!(output, json!({ "exit_code": 0, "mode": "600", "two": "a b" }));
    assert_eq!(place.log.text(), "done\n");
    assert_eq!(fs::read_dir(place.root.path().join("scratch")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_script_stops_at_its_first_failure_and_at_unset_variables() {
    let place = place();
    let error = place.run(json!({ "script": "echo one >&2; false; echo two" })).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Permanent, "the script ended with exit code 1\none"));
    let error = place.run(json!({ "script": "echo \"$NOT_SET\"" })).await.unwrap_err();
    assert!(error.message.contains("NOT_SET"), "{error}");
    let error = place.run(json!({ "script": "exit 75" })).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    let error = place.run(json!({ "script": "kill -KILL $$" })).await.unwrap_err();
    assert!(error.message.contains("SIGKILL"), "{error}");
    let error = place.run(json!({ "command": ["no-such-program-here"] })).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert!(error.message.contains("no-such-program-here"), "{error}");
}

#[tokio::test]
async fn a_program_gets_its_variables_and_secrets_and_an_empty_input() {
    let mut place = place();
    place.cx.env = Arc::new([("VERSION".to_owned(), "$(touch hacked) `x` \"'".to_owned())].into());
    place.cx.secrets = Arc::new([("TOKEN".to_owned(), Secret::new("hush-hush"))].into());
    let script = "cat; printf '%s\\n' \"$VERSION\"; test \"$TOKEN\" = hush-hush; env | cut -d= -f1 | sort | tr '\\n' ' '";
    place.run(json!({ "script": script })).await.unwrap();
    let expected = "$(touch hacked) `x` \"'\n\
        FORMULA_ATTEMPT FORMULA_IDEMPOTENCY_KEY FORMULA_RUN FORMULA_STEP PATH PWD TOKEN VERSION ";
    assert_eq!(place.log.text(), expected);
    assert!(!place.root.path().join("work/hacked").exists());
}

#[tokio::test]
async fn a_script_file_runs_by_itself_where_it_may_and_by_sh_otherwise() {
    let place = place();
    let path = place.root.path().join("work/it.sh");
    fs::write(&path, "#!/usr/bin/env -S sh -c 'echo itself'\necho by sh\n").unwrap();
    place.run(json!({ "file": "it.sh" })).await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    place.run(json!({ "file": "it.sh" })).await.unwrap();
    assert_eq!(place.log.text(), "by sh\nitself\n");
    assert!(place.run(json!({ "file": "none.sh" })).await.unwrap_err().message.contains("`none.sh`"));
    assert_eq!(place.run(json!({ "file": "../it.sh" })).await.unwrap_err().class, Class::Refused);
}

#[tokio::test]
async fn work_is_asked_for_done_and_taken_back() {
    let place = place();
    let params = json!({ "command": ["mkdir", "made"], "probe": "test -d made", "undo": ["rmdir", "made"] });
    assert_eq!(place.probe(&params).await.name(), "absent");
    place.run(params.clone()).await.unwrap();
    assert_eq!(place.probe(&params).await.name(), "present");
    StepType::undo(&Shell, &place.cx, &params, None, None).await.unwrap();
    assert_eq!(place.probe(&params).await.name(), "absent");
    let error = StepType::undo(&Shell, &place.cx, &params, None, None).await.unwrap_err();
    assert!(error.message.starts_with("the undo ended with exit code 1"), "{error}");
}

/// Says when something was written.
struct Watch(Notify);

impl Output for Watch {
    fn write(&self, _: &[u8]) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_request_to_stop_ends_the_program() {
    let mut place = place();
    let watch = Arc::new(Watch(Notify::new()));
    place.cx.output = watch.clone();
    let cancel = place.cx.cancel.clone();
    let stop = async {
        watch.0.notified().await;
        cancel.raise(CancelLevel::Graceful(15));
    };
    let script = "trap 'touch stopped; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    let (ended, ()) = tokio::join!(place.run(json!({ "script": script })), stop);
    assert_eq!(ended.unwrap_err().class, Class::Cancelled);
    assert!(place.root.path().join("work/stopped").exists());
}
