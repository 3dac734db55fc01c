//! The registry port on a real registry.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use formula_steps::world::real::DockerConfig;
use formula_steps::world::real::RealRegistry;
use formula_steps::world::real::{DockerSettings, RealDocker};
use formula_steps::world::{Credentials, Docker as _, ImageRef, OutputBuffer, PortErrorKind, Registry as _, Secret};

use crate::support::{Folder, RegistryServer, Tags, engine_or_skip, program_answers};

const ANYONE: Credentials = Credentials::Anonymous;

fn registry() -> RealRegistry {
    RealRegistry::new(DockerConfig::default())
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic { username: username.into(), password: Secret::new(password) }
}

async fn pushed(tags: &Tags, host: &str, content: &str) -> (ImageRef, String) {
    let engine = RealDocker::new(DockerSettings::default());
    let name = tags.at(host);
    let folder = Folder::with(&[("Dockerfile", "FROM scratch\nCOPY data /\n"), ("data", content)]);
    engine.build(&folder.build(&[&name]), &OutputBuffer::new()).await.expect("a build");
    let digest = engine.push(&name, &ANYONE, &OutputBuffer::new()).await.expect("a push").digest.expect("a digest");
    (name, digest)
}

#[tokio::test]
async fn manifests_move_between_tags_and_go_by_digest() {
    engine_or_skip!("manifests_move_between_tags_and_go_by_digest");
    let (server, tags, registry) = (RegistryServer::open(), Tags::default(), registry());
    let (name, digest) = pushed(&tags, &server.host(), "moves").await;
    let manifest = registry.manifest(&name, &ANYONE).await.expect("an answer").expect("a manifest");
    assert_eq!(
        (manifest.digest.as_str(), manifest.media_type.as_str()),
        (digest.as_str(), "application/vnd.docker.distribution.manifest.v2+json")
    );
    let pinned = name.with_digest(&digest);
    assert_eq!(registry.manifest(&pinned, &ANYONE).await, Ok(Some(manifest.clone())));

    let other = name.with_tag("other");
    registry.put_manifest(&other, &manifest, &ANYONE).await.expect("put");
    assert_eq!(registry.manifest(&other, &ANYONE).await.expect("an answer").map(|found| found.digest), Some(digest.clone()));
    let mut all = registry.tags(&name, &ANYONE).await.expect("tags");
    all.sort();
    assert_eq!(all, ["other", "v1"]);

    let mut forged = manifest.clone();
    forged.bytes.push(b' ');
    assert_eq!(registry.put_manifest(&other, &forged, &ANYONE).await.expect_err("forged").kind, PortErrorKind::Invalid);

    assert_eq!(registry.delete_manifest(&other, &ANYONE).await.expect_err("by tag").kind, PortErrorKind::Invalid);
    registry.delete_manifest(&pinned, &ANYONE).await.expect("deleted");
    registry.delete_manifest(&pinned, &ANYONE).await.expect("deleted already");
    for gone in [&name, &other, &pinned] {
        assert_eq!(registry.manifest(gone, &ANYONE).await, Ok(None), "{gone}");
    }
    // Its blobs are still there: this is how a tag that was moved goes back.
    registry.put_manifest(&name, &manifest, &ANYONE).await.expect("back again");
    assert_eq!(registry.manifest(&name, &ANYONE).await, Ok(Some(manifest)));
}

#[tokio::test]
async fn deleting_where_it_is_not_allowed_says_so() {
    engine_or_skip!("deleting_where_it_is_not_allowed_says_so");
    let (server, tags) = (RegistryServer::keeping_all(), Tags::default());
    let (name, digest) = pushed(&tags, &server.host(), "kept").await;
    let error = registry().delete_manifest(&name.with_digest(&digest), &ANYONE).await.expect_err("not allowed");
    assert_eq!(error.kind, PortErrorKind::Failed);
    assert!(error.message.contains("does not allow") && error.hint.is_some(), "{error}");
}

#[tokio::test]
async fn the_right_to_push_is_proved_without_pushing() {
    if !program_answers("the_right_to_push_is_proved_without_pushing", "docker-registry", &["--version"]) {
        return;
    }
    let (server, registry) = (RegistryServer::closed("user", "päss:wörd"), registry());
    let name = ImageRef::parse(&format!("{}/team/app:v1", server.host())).expect("a name");
    let right = basic("user", "päss:wörd");
    registry.prove_push(&name, &right).await.expect("let in");
    for who in [basic("user", "wrong-secret"), basic("nobody", "päss:wörd"), ANYONE] {
        let error = registry.prove_push(&name, &who).await.expect_err("not let in");
        assert_eq!(error.kind, PortErrorKind::Denied, "{who:?}: {error}");
        assert!(error.hint.is_some() && !error.message.contains("wrong-secret"), "{error}");
        assert_eq!(registry.manifest(&name, &who).await.expect_err("not let in").kind, PortErrorKind::Denied);
    }
    assert_eq!(registry.tags(&name, &right).await, Ok(Vec::new()));
    assert_eq!(registry.manifest(&name, &right).await, Ok(None));
}

#[tokio::test]
async fn credentials_come_from_the_users_docker_configuration() {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode("user:pä:ss");
    let folder = Folder::with(&[(
        "config.json",
        &format!(
            "{{\"auths\":{{\"127.0.0.1:5000\":{{\"auth\":\"{auth}\"}},\"https://index.docker.io/v1/\":{{\"auth\":\"{auth}\"}},\
             \"token.test\":{{\"identitytoken\":\"tok\"}}}},\"credHelpers\":{{\"absent.test\":\"formula-test-absent\"}}}}"
        ),
    )]);
    let registry = RealRegistry::new(DockerConfig::new(Some(folder.path().to_owned())));
    let user = basic("user", "pä:ss");
    assert_eq!(registry.configured("127.0.0.1:5000").await, Ok(user.clone()));
    assert_eq!(registry.configured("docker.io").await, Ok(user));
    assert_eq!(registry.configured("token.test").await, Ok(Credentials::IdentityToken(Secret::new("tok"))));
    assert_eq!(registry.configured("ghcr.io").await, Ok(ANYONE));
    let error = registry.configured("absent.test").await.expect_err("no such helper");
    assert!(error.hint.expect("a hint").contains("docker-credential-"));
    assert_eq!(RealRegistry::new(DockerConfig::new(Some("/nonexistent".into()))).configured("x.test").await, Ok(ANYONE));
    folder.write("config.json", b"{");
    let error = registry.configured("ghcr.io").await.expect_err("broken");
    assert!(error.message.contains("config.json"), "{error}");
}

/// Answers every request with the next of these, and tells what was asked.
fn scripted(answers: Vec<String>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let (sender, receiver) = std::sync::mpsc::channel();
    let own = host.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&buffer[..count]),
                }
            }
            let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.replace("HOST", &own).as_bytes());
        }
    });
    (host, receiver)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_token_service_is_asked_for_a_token_and_no_more() {
    let challenge = "WWW-Authenticate: Bearer realm=\"http://HOST/token\",service=\"the registry\",scope=\"repository:team/app:pull\"\r\n";
    let (host, asked) = scripted(vec![
        answer("401 Unauthorized", challenge, ""),
        answer("200 OK", "", "{\"token\":\"t0ken\"}"),
        answer("200 OK", "", "{\"tags\":[\"a\"]}"),
    ]);
    let name = ImageRef::parse(&format!("{host}/team/app")).expect("a name");
    assert_eq!(registry().tags(&name, &basic("user", "pass")).await, Ok(vec!["a".to_owned()]));
    let asked: Vec<String> = asked.iter().collect();
    assert!(asked[0].starts_with("GET /v2/team/app/tags/list") && !asked[0].to_lowercase().contains("authorization"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /token?scope=repository%3Ateam%2Fapp%3Apull&service=the+registry "), "{}", asked[1]);
    assert!(asked[1].to_lowercase().contains("authorization: basic dxnlcjpwyxnz"), "{}", asked[1]);
    assert!(asked[2].to_lowercase().contains("authorization: bearer t0ken"), "{}", asked[2]);
}

#[tokio::test]
async fn a_token_service_without_encryption_gets_no_password() {
    let challenge = "WWW-Authenticate: Bearer realm=\"http://registry.invalid/token\",service=\"s\"\r\n";
    let (host, _asked) = scripted(vec![answer("401 Unauthorized", challenge, "")]);
    let name = ImageRef::parse(&format!("{host}/team/app")).expect("a name");
    let error = registry().tags(&name, &basic("user", "pass")).await.expect_err("refused");
    assert!(error.message.contains("without encryption"), "{error}");
}

#[tokio::test]
async fn answers_have_their_meaning() {
    for (status, headers, kind) in [
        ("429 Too Many Requests", "Retry-After: 7\r\n", PortErrorKind::Transient),
        ("503 Service Unavailable", "", PortErrorKind::Transient),
        ("403 Forbidden", "", PortErrorKind::Denied),
        ("418 Teapot", "", PortErrorKind::Failed),
    ] {
        let body = "{\"errors\":[{\"code\":\"SOME\",\"message\":\"own words\"}]}";
        let (host, _asked) = scripted(vec![answer(status, headers, body)]);
        let name = ImageRef::parse(&format!("{host}/team/app:v1")).expect("a name");
        let error = registry().manifest(&name, &ANYONE).await.expect_err(status);
        assert_eq!(error.kind, kind, "{status}");
        assert!(error.message.contains("some: own words"), "{error}");
        assert_eq!(error.retry_after, headers.contains('7').then_some(Duration::from_secs(7)), "{status}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_what_it_says_is_refused() {
    let wrong = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
    let (host, _asked) = scripted(vec![answer("200 OK", &wrong, "{}")]);
    let name = ImageRef::parse(&format!("{host}/team/app:v1")).expect("a name");
    let error = registry().manifest(&name, &ANYONE).await.expect_err("altered");
    assert_eq!(error.kind, PortErrorKind::Failed);

    // Cut off inside the body.
    let (host, _asked) = scripted(vec!["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}".to_owned()]);
    let name = ImageRef::parse(&format!("{host}/team/app:v1")).expect("a name");
    assert_eq!(registry().manifest(&name, &ANYONE).await.expect_err("cut off").kind, PortErrorKind::Transient);
}
