//! Asking the engine about images and containers, naming and removing them.

use std::collections::BTreeMap;
use std::time::Duration;

use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{Docker as _, ImageRef, OutputBuffer, PortErrorKind};

use crate::support::{Folder, Tags, docker, docker_quietly, engine_or_skip};

fn engine() -> RealDocker {
    RealDocker::new(DockerSettings::default())
}

async fn busybox(tags: &Tags, more: &str) -> ImageRef {
    let name = tags.local();
    let dockerfile = format!("FROM scratch\nCOPY busybox /bin/busybox\n{more}\n");
    let folder = Folder::with_busybox(&[("Dockerfile", &dockerfile)]);
    engine().build(&folder.build(&[&name]), &OutputBuffer::new()).await.expect("a build");
    name
}

#[tokio::test]
async fn nobody_at_the_address_is_said_at_once_and_with_what_to_do() {
    let at = |host: &str| RealDocker::new(DockerSettings { host: Some(host.to_owned()), ..DockerSettings::default() });
    let error = at("unix:///nonexistent/docker.sock").engine().await.expect_err("no socket");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.message.contains("/nonexistent/docker.sock") && error.hint.expect("a hint").contains("systemctl start docker"));

    // A socket that nobody listens on any more.
    let folder = Folder::with(&[]);
    let path = folder.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let error = at(&format!("unix://{}", path.display())).engine().await.expect_err("nobody listens");
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let error = at(&format!("tcp://127.0.0.1:{port}")).engine().await.expect_err("nobody listens");
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");

    let tls = DockerSettings { host: Some("tcp://127.0.0.1:1".into()), tls_dir: Some(folder.path().into()), config_dir: None };
    let error = RealDocker::new(tls).engine().await.expect_err("no certificates");
    assert!(error.message.contains("ca.pem") && error.hint.expect("a hint").contains("DOCKER_CERT_PATH"));

    for host in ["ftp://x", "docker", "npipe:////./pipe/x", "ssh://-oProxyCommand=touch", "ssh://", "ssh://user@host:22"] {
        assert_eq!(at(host).engine().await.expect_err(host).kind, PortErrorKind::Invalid, "{host}");
    }
}

#[tokio::test]
async fn the_engine_says_who_it_is() {
    engine_or_skip!("the_engine_says_who_it_is");
    let found = engine().engine().await.expect("an answer");
    assert_eq!(found.version, docker(&["version", "--format", "{{.Server.Version}}"]));
    assert_eq!(found.api, docker(&["version", "--format", "{{.Server.APIVersion}}"]));
    assert!(!found.id.is_empty());
}

#[tokio::test]
async fn the_engine_of_the_current_context_is_used() {
    engine_or_skip!("the_engine_of_the_current_context_is_used");
    let folder = Folder::with(&[("config.json", "{\"currentContext\":\"elsewhere\"}")]);
    // The docker program files a context under the digest of its name.
    let id = "7b1b763ee8f62eb88e4742a760f912d0b19bcd58b2b948999784bacc15a7f4d7";
    let settings = DockerSettings { config_dir: Some(folder.path().to_owned()), ..DockerSettings::default() };
    let lost = RealDocker::new(settings.clone()).engine().await.expect_err("there is no such context");
    assert!(lost.message.contains("`elsewhere`"), "{lost}");
    let meta = |host: &str| format!("{{\"Name\":\"elsewhere\",\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\"}}}}}}");
    folder.write(&format!("contexts/meta/{id}/meta.json"), meta("unix:///nonexistent").as_bytes());
    assert_eq!(RealDocker::new(settings.clone()).engine().await.expect_err("nobody").kind, PortErrorKind::Unreachable);
    folder.write(&format!("contexts/meta/{id}/meta.json"), meta("unix:///var/run/docker.sock").as_bytes());
    assert!(RealDocker::new(settings).engine().await.is_ok());
}

#[tokio::test]
async fn names_come_and_go() {
    engine_or_skip!("names_come_and_go");
    let (tags, engine) = (Tags::default(), engine());
    let first = busybox(&tags, "LABEL names=come").await;
    let image = engine.image(&first.to_string()).await.expect("an answer").expect("an image");
    let second = tags.local();
    engine.tag(&image.id, &second).await.expect("a tag");
    engine.tag(&image.id, &second).await.expect("again is fine");
    let image = engine.image(&second.to_string()).await.expect("an answer").expect("an image");
    assert!(image.tags.contains(&first.to_string()) && image.tags.contains(&second.to_string()), "{:?}", image.tags);
    engine.untag(&first).await.expect("gone");
    engine.untag(&first).await.expect("gone already");
    assert_eq!(engine.image(&first.to_string()).await, Ok(None));
    assert_eq!(engine.image(&second.to_string()).await.expect("an answer").map(|image| image.id), Some(image.id));
    assert_eq!(engine.tag("formula.test/none:none", &second).await.expect_err("no such image").kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn names_that_reach_elsewhere_are_refused_before_the_engine_hears_of_them() {
    let nobody = RealDocker::new(DockerSettings { host: Some("unix:///nonexistent".into()), ..DockerSettings::default() });
    for name in ["../containers/json?x=", "a?force=1", "-a", "a b", ""] {
        assert_eq!(nobody.image(name).await.expect_err(name).kind, PortErrorKind::Invalid, "{name:?}");
        assert_eq!(nobody.container(name).await.expect_err(name).kind, PortErrorKind::Invalid, "{name:?}");
        assert_eq!(nobody.logs(name, 1).await.expect_err(name).kind, PortErrorKind::Invalid, "{name:?}");
        assert_eq!(nobody.remove_container(name, true).await.expect_err(name).kind, PortErrorKind::Invalid, "{name:?}");
    }
}

/// Removed with the value.
struct Running(String);

impl Drop for Running {
    fn drop(&mut self) {
        docker_quietly(&["rm", "--force", &self.0]);
    }
}

#[tokio::test]
async fn containers_are_seen_as_they_are() {
    engine_or_skip!("containers_are_seen_as_they_are");
    let (tags, engine) = (Tags::default(), engine());
    let check = "HEALTHCHECK --interval=100ms --retries=1 CMD [\"/bin/busybox\", \"sh\", \"-c\", \"echo checked; test -e /well\"]";
    let image = busybox(&tags, check).await;
    let name = format!("formula-test-{}", std::process::id());
    let container = Running(name.clone());
    let run = ["run", "--detach", "--init", "--name", &name, "--label", "formula.test=1", "--label", &format!("formula.test.who={name}")];
    let command = ["/bin/busybox", "sh", "-c", "echo one; echo two >&2; echo three; exec /bin/busybox sleep 300"];
    docker(&[&run[..], &[&image.to_string()], &command[..]].concat());

    let seen = until(
        async || engine.container(&name).await.expect("an answer"),
        |seen| {
            seen.as_ref().and_then(|seen| seen.health.as_ref()).is_some_and(|health| health.status == "unhealthy" && !health.log.is_empty())
        },
    );
    let seen = seen.await.expect("a container");
    assert_eq!((seen.name.as_str(), seen.state.as_str(), seen.exit_code, seen.restarts), (name.as_str(), "running", None, 0));
    assert_eq!(seen.image, image.to_string());
    assert_eq!(Some(&seen.image_id), engine.image(&image.to_string()).await.expect("an answer").map(|image| image.id).as_ref());
    assert_eq!(seen.health.as_ref().and_then(|health| health.log.last()).map(String::as_str), Some("checked"));
    assert!(seen.networks.get("bridge").is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok()), "{:?}", seen.networks);
    assert!(seen.started_at.starts_with("20"), "{}", seen.started_at);
    docker(&["exec", &name, "/bin/busybox", "touch", "/well"]);
    until(
        async || engine.container(&name).await.expect("an answer"),
        |seen| seen.as_ref().and_then(|seen| seen.health.as_ref()).is_some_and(|health| health.status == "healthy"),
    )
    .await;

    let labels = |value: &str| BTreeMap::from([("formula.test".into(), "1".into()), ("formula.test.who".into(), value.to_owned())]);
    let names = async |value: &str| -> Vec<String> {
        engine.containers(&labels(value)).await.expect("an answer").into_iter().map(|container| container.name).collect()
    };
    assert_eq!(names(&name).await, std::slice::from_ref(&name));
    assert_eq!(names("nobody").await, Vec::<String>::new());
    assert!(names("").await.contains(&name), "an empty value matches any");

    assert_eq!(engine.logs(&name, 2).await.expect("logs").lines().count(), 2);
    let all = engine.logs(&name, 100).await.expect("logs");
    assert!(["one\n", "two\n", "three\n"].iter().all(|line| all.contains(line)), "{all}");

    assert_eq!(engine.remove_container(&name, false).await.expect_err("it runs").kind, PortErrorKind::Conflict);
    docker(&["kill", &name]);
    let ended =
        until(async || engine.container(&name).await.expect("an answer").expect("still there"), |seen| seen.state == "exited").await;
    assert_eq!(ended.exit_code, Some(137));
    engine.remove_container(&name, false).await.expect("gone");
    engine.remove_container(&name, false).await.expect("gone already");
    assert_eq!(engine.container(&name).await, Ok(None));
    assert_eq!(engine.logs(&name, 1).await.expect_err("gone").kind, PortErrorKind::NotFound);
    drop(container);
}

/// Asks until the answer is right.
async fn until<T>(mut ask: impl AsyncFnMut() -> T, right: impl Fn(&T) -> bool) -> T {
    let answer = async {
        loop {
            let answer = ask().await;
            if right(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), answer).await.expect("it comes within a minute")
}

#[tokio::test]
async fn volumes_are_found_by_label_and_where_they_are_mounted() {
    engine_or_skip!("volumes_are_found_by_label_and_where_they_are_mounted");
    let tags = Tags::default();
    let image = busybox(&tags, "LABEL formula.test=1").await.to_string();
    let name = format!("formula-test-volume-{}", std::process::id());
    docker(&["volume", "create", "--label", "formula.test=1", "--label", &format!("formula.test.name={name}"), &name]);
    docker(&["create", "--name", &name, "--volume", &format!("{name}:/data"), &image, "/bin/busybox", "true"]);
    let labels = BTreeMap::from([("formula.test.name".to_owned(), name.clone())]);
    let found = engine().volumes(&labels).await;
    let container = engine().container(&name).await;
    docker_quietly(&["rm", "--force", &name]);
    docker_quietly(&["volume", "rm", &name]);
    let found = found.expect("an answer");
    assert_eq!(found.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), [&name]);
    assert_eq!(found[0].labels["formula.test"], "1");
    assert_eq!(container.expect("an answer").expect("it is there").volumes, BTreeMap::from([("/data".to_owned(), name)]));
    assert_eq!(engine().volumes(&labels).await, Ok(Vec::new()));
}
