//! Pushing to and pulling from a real registry through the engine.

use std::time::{Duration, Instant};

use formula_steps::world::real::DockerConfig;
use formula_steps::world::real::RealRegistry;
use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{Credentials, Docker as _, ImageRef, OutputBuffer, PortErrorKind, Registry as _, Secret};

use crate::support::{Folder, RegistryServer, Tags, engine_or_skip};

/// Encoded, this has characters that the two alphabets of base64 write differently.
const PASSWORD: &str = "a>?~>?~é>?~ÿþ";

fn engine() -> RealDocker {
    RealDocker::new(DockerSettings::default())
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.into(), password: Secret::new(password) }
}

async fn image(name: &ImageRef, content: &str) {
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\nCOPY data /\n"), ("data", content)]);
    engine().build(&folder.build(&[name]), &OutputBuffer::new()).await.expect("a build");
}

#[tokio::test]
async fn what_is_pushed_is_what_the_registry_has_and_comes_back() {
    engine_or_skip!("what_is_pushed_is_what_the_registry_has_and_comes_back");
    let (server, tags, engine, output) = (RegistryServer::open(), Tags::default(), engine(), OutputBuffer::new());
    let registry = RealRegistry::new(DockerConfig::default());
    let name = tags.at(&server.host());
    image(&name, "pushed").await;
    let anonymous = Credentials::Anonymous;
    assert_eq!(registry.manifest(&name, &anonymous).await, Ok(None));
    let pushed = engine.push(&name, &anonymous, &output).await.expect("a push").digest.expect("a digest");
    let manifest = registry.manifest(&name, &anonymous).await.expect("an answer").expect("a manifest");
    assert_eq!(manifest.digest, pushed);
    assert!(output.text().contains(&pushed), "{}", output.text());
    assert_eq!(engine.push(&name, &anonymous, &output).await.expect("again").digest.as_ref(), Some(&pushed));

    let before = engine.image(&name.to_string()).await.expect("an answer").expect("an image");
    assert!(before.digests.contains(&name.with_digest(&pushed).to_string()), "{:?}", before.digests);
    engine.untag(&name).await.expect("gone");
    assert_eq!(engine.image(&name.to_string()).await, Ok(None));
    let pulled = engine.pull(&name, &anonymous, &output).await.expect("a pull");
    assert_eq!(pulled.digest.as_ref(), Some(&pushed));
    assert_eq!(engine.image(&name.to_string()).await.expect("an answer").map(|image| image.id), Some(before.id.clone()));

    engine.untag(&name).await.expect("gone");
    let pinned = tags.watch(&name.with_digest(&pushed));
    engine.pull(&pinned, &anonymous, &output).await.expect("a pull by digest");
    assert_eq!(engine.image(&pinned.to_string()).await.expect("an answer").map(|image| image.id), Some(before.id));

    let missing = engine.pull(&name.with_tag("missing"), &anonymous, &output).await.expect_err("no such tag");
    assert_eq!(missing.kind, PortErrorKind::NotFound, "{missing}");
    let missing = engine.push(&name.with_tag("missing"), &anonymous, &output).await.expect_err("no such tag");
    assert_eq!(missing.kind, PortErrorKind::NotFound, "{missing}");
    assert_eq!(engine.push(&pinned, &anonymous, &output).await.expect_err("a digest").kind, PortErrorKind::Invalid);
}

#[tokio::test]
async fn credentials_reach_the_registry_whatever_they_are_made_of() {
    engine_or_skip!("credentials_reach_the_registry_whatever_they_are_made_of");
    let (server, tags, engine, output) = (RegistryServer::closed("büro", PASSWORD), Tags::default(), engine(), OutputBuffer::new());
    let registry = RealRegistry::new(DockerConfig::default());
    let name = tags.at(&server.host());
    image(&name, "closed").await;
    let right = basic("büro", PASSWORD);
    let pushed = engine.push(&name, &right, &output).await.expect("a push").digest;
    assert_eq!(registry.manifest(&name, &right).await.expect("an answer").map(|manifest| manifest.digest), pushed);
    engine.untag(&name).await.expect("gone");
    assert_eq!(engine.pull(&name, &right, &output).await.expect("a pull").digest, pushed);

    for who in [basic("büro", "wrong-secret"), Credentials::Anonymous] {
        for refused in [engine.push(&name, &who, &output).await, engine.pull(&name, &who, &output).await] {
            let error = refused.expect_err("not let in");
            assert_eq!(error.kind, PortErrorKind::Denied, "{who:?}: {error}");
            assert!(error.hint.is_some() && !error.message.contains("wrong-secret"));
        }
    }
    assert!(!output.text().contains(PASSWORD));
}

#[tokio::test]
async fn a_registry_that_is_down_is_said_quickly() {
    engine_or_skip!("a_registry_that_is_down_is_said_quickly");
    let (mut server, tags, engine, output) = (RegistryServer::open(), Tags::default(), engine(), OutputBuffer::new());
    let name = tags.at(&server.host());
    image(&name, "down").await;
    server.stop();
    let begun = Instant::now();
    for refused in [engine.push(&name, &Credentials::Anonymous, &output).await, engine.pull(&name, &Credentials::Anonymous, &output).await]
    {
        let error = refused.expect_err("nobody there");
        assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
    }
    let registry = RealRegistry::new(DockerConfig::default());
    let error = registry.manifest(&name, &Credentials::Anonymous).await.expect_err("nobody there");
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    server.restart();
    engine.push(&name, &Credentials::Anonymous, &output).await.expect("it is back");
}

#[tokio::test]
async fn a_registry_that_says_nothing_ends_the_wait() {
    engine_or_skip!("a_registry_that_says_nothing_ends_the_wait");
    let tags = Tags::default();
    // Accepts connections, as its backlog does, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let name = tags.at(&silent.local_addr().expect("an address").to_string());
    image(&name, "silence").await;
    let engine = engine().with_patience(Duration::from_secs(2));
    let begun = Instant::now();
    let error = engine.push(&name, &Credentials::Anonymous, &OutputBuffer::new()).await.expect_err("nobody speaks");
    assert_eq!(error.kind, PortErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_base_image_comes_with_the_users_configured_credentials() {
    use base64::Engine as _;
    engine_or_skip!("a_base_image_comes_with_the_users_configured_credentials");
    let (server, tags, output) = (RegistryServer::closed("büro", PASSWORD), Tags::default(), OutputBuffer::new());
    let base = tags.at(&server.host());
    image(&base, "base").await;
    engine().push(&base, &basic("büro", PASSWORD), &output).await.expect("a push");
    engine().untag(&base).await.expect("gone");
    let name = tags.local();
    let folder = Folder::with(&[("Dockerfile", &format!("FROM {base}\nLABEL derived=yes\n"))]);
    let error = engine().build(&folder.build(&[&name]), &output).await.expect_err("not let in");
    assert_eq!(error.kind, PortErrorKind::Denied, "{error}");

    let auth = base64::engine::general_purpose::STANDARD.encode(format!("büro:{PASSWORD}"));
    let config = Folder::with(&[("config.json", &format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", server.host()))]);
    let configured = RealDocker::new(DockerSettings { config_dir: Some(config.path().to_owned()), ..DockerSettings::default() });
    configured.build(&folder.build(&[&name]), &output).await.expect("a build");
}
