//! When `docker-build` builds, what it lets in, and what it says of a bad image.

use formula_steps::contract::{Class, Probe};
use formula_steps::world::PortErrorKind;
use formula_steps::world::fake::{Fault, Repo, State};
use serde_json::{Value, json};

use super::{Bench, changes};

fn sources(state: &mut State) {
    let mut repo = Repo::default();
    repo.head = repo.add_commit(&[], &[("Dockerfile", "FROM scratch\nVOLUME /data\n"), ("main", "one\n")]);
    state.repos.insert("/acme".into(), repo);
    state.check_out("/acme");
}

fn params() -> Value {
    json!({ "tags": ["shop:v1", "shop:latest"], "version": "v1" })
}

#[tokio::test]
async fn the_same_content_is_built_once() {
    let bench = Bench::new("docker-build", sources);
    let output = bench.run(&params()).await.unwrap();
    assert_eq!(output["version_label"], "v1");
    bench.fake.forget_calls();
    assert_eq!(bench.run(&params()).await.unwrap(), output);
    assert_eq!(bench.calls("docker.build"), 0);

    bench.fake.edit(|state| state.put("/acme/main", "two\n"));
    assert_eq!(changes(&bench.probe(&params()).await.unwrap()), ["build `shop:v1`, `shop:latest` from `.`"]);
    let other = bench.run(&params()).await.unwrap();
    assert_ne!(other["image_id"], output["image_id"]);
    let mut labelled = params();
    labelled["version"] = "v2".into();
    assert!(matches!(bench.probe(&labelled).await.unwrap(), Probe::Absent { .. }), "another label is another image");
}

#[tokio::test]
async fn a_missing_name_is_given_without_building() {
    let bench = Bench::new("docker-build", sources);
    bench.run(&params()).await.unwrap();
    bench.fake.edit(|state| state.docker.images.values_mut().for_each(|image| image.tags.retain(|tag| tag == "shop:v1")));
    bench.fake.forget_calls();
    assert!(matches!(bench.probe(&params()).await.unwrap(), Probe::Absent { .. }));
    bench.run(&params()).await.unwrap();
    assert_eq!((bench.calls("docker.build"), bench.calls("docker.tag")), (0, 1));
}

#[tokio::test]
async fn a_clean_build_sees_the_commit_and_nothing_else() {
    let bench = Bench::new("docker-build", sources);
    let mut params = params();
    params["clean"] = true.into();
    let output = bench.run(&params).await.unwrap();
    bench.fake.edit(|state| {
        state.put("/acme/.env", "PASSWORD=x");
        state.put("/acme/main", "changed and not committed\n");
    });
    assert_eq!(bench.probe(&params).await.unwrap(), Probe::Present { output: output.clone() });

    // HEAD moves on; the commit that was looked at is what is built.
    let old = bench.fake.edit(|state| {
        let repo = state.repos.get_mut(std::path::Path::new("/acme")).unwrap();
        let old = repo.head.clone();
        repo.head = repo.add_commit(&[&old], &[("Dockerfile", "FROM scratch\n"), ("main", "two\n")]);
        old
    });
    assert!(matches!(bench.probe(&params).await.unwrap(), Probe::Absent { .. }));
    params["revision"] = old.clone().into();
    let pinned = bench.run(&params).await.unwrap();
    params["revision"] = "no-such-commit".into();
    let error = bench.probe(&params).await.unwrap_err();
    assert!(error.message.contains("no-such-commit"), "{error}");
    assert_ne!(pinned["image_id"], output["image_id"], "it has the label of the commit as well");
    assert!(bench.fake.state().files.keys().all(|path| path.starts_with("/acme")), "the export is gone");
}

#[tokio::test]
async fn volumes_that_the_image_does_not_declare_are_named() {
    let bench = Bench::new("docker-build", sources);
    let mut params = params();
    params["volumes"] = json!(["/data", "/state", "/repos"]);
    let error = bench.run(&params).await.unwrap_err();
    assert_eq!(error.class, Class::Permanent);
    assert!(error.message.contains("`/state`, `/repos`") && !error.message.contains("`/data`"), "{error}");
    assert_eq!(bench.run(&params).await.unwrap_err().message, error.message, "an image that is there is judged as well");
}

#[tokio::test]
async fn a_failing_build_is_told_as_the_engine_tells_it() {
    let bench = Bench::new("docker-build", sources);
    bench.fake.set_faults(vec![Fault::fails("docker.build", 0, PortErrorKind::Failed, "step 3: `make` returned a non-zero code: 2")]);
    let error = bench.run(&params()).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Permanent, "step 3: `make` returned a non-zero code: 2"));
}

#[test]
fn params_are_judged_before_anything_is_asked() {
    let bench = Bench::new("docker-build", |_| {});
    let problems = |params: Value| bench.check(&params).join("; ");
    assert!(problems(json!({ "tags": ["shop"] })).contains("no tag"));
    assert!(problems(json!({ "tags": ["-x:1"] })).contains("-x:1"));
    assert!(problems(json!({ "tags": ["a:1"], "platforms": ["linux/amd64", "linux/arm64"] })).contains("buildkit"));
    assert!(problems(json!({ "tags": ["a:1"], "labels": { "formula.build.digest": "x" } })).contains("formula.build.digest"));
    assert!(problems(json!({ "tags": ["a:1"], "dockerfile": "-f" })).contains("dockerfile"));
}
