//! A server of a few lines on this machine, and the client as it is shipped.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{RealHttp, Url, is_loopback, same_service};
use crate::world::{Http as _, HttpRequest, HttpResponse, PortErrorKind, PortResult, Secret};

/// Answers each connection with what `answer` says to its request, then closes it. Keeps the requests.
struct Server {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = head(&mut stream).await;
                let reply = answer(&request);
                kept.lock().unwrap().push(request);
                // The client may have hung up by design.
                let _ = stream.write_all(&reply).await;
            }
        });
        Self { address, seen }
    }
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // The first byte of a TLS handshake is 22; no more of it needs to be read.
    while !bytes.starts_with(&[22]) && !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

async fn get(url: &str) -> PortResult<HttpResponse> {
    RealHttp::new().request(&HttpRequest::get(url)).await
}

#[tokio::test]
async fn any_status_is_an_answer_with_headers_and_body() {
    let server = Server::start(|_| reply("429 Slow Down", "Retry-After: 7\r\nX-Thing: a\r\n", "wait")).await;
    let answer = get(&server.url("/x?y=1")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (429, &b"wait"[..]));
    assert_eq!((answer.header("retry-after"), answer.header("x-thing")), (Some("7"), Some("a")));
    assert!(server.seen()[0].starts_with("GET /x?y=1 HTTP/1.1\r\n"), "{:?}", server.seen());
}

#[tokio::test]
async fn method_headers_and_body_arrive() {
    let server = Server::start(|_| reply("201 Created", "", "")).await;
    let request = HttpRequest {
        method: "POST".into(),
        headers: vec![("content-type".into(), "text/plain".into())],
        secret_headers: vec![("authorization".into(), Secret::new("Bearer hidden-token"))],
        body: Some(b"hello".to_vec()),
        ..HttpRequest::get(server.url("/"))
    };
    assert_eq!(RealHttp::new().request(&request).await.unwrap().status, 201);
    let seen = &server.seen()[0];
    for part in ["POST / HTTP/1.1", "content-type: text/plain", "authorization: Bearer hidden-token", "content-length: 5"] {
        assert!(seen.contains(part), "{seen}");
    }
}

#[tokio::test]
async fn a_longer_body_than_wanted_is_an_error_however_it_is_announced() {
    let announced = Server::start(|_| reply("200 OK", "", &"x".repeat(2000))).await;
    let endless = Server::start(|_| {
        let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(200)).into_bytes()
    })
    .await;
    for server in [announced, endless] {
        let request = HttpRequest { max_body: 1999, ..HttpRequest::get(server.url("/")) };
        let error = RealHttp::new().request(&request).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Failed);
        assert!(error.message.contains("longer than 1999 bytes"), "{error}");
    }
    let exact = Server::start(|_| reply("200 OK", "", &"x".repeat(2000))).await;
    let request = HttpRequest { max_body: 2000, ..HttpRequest::get(exact.url("/")) };
    assert_eq!(RealHttp::new().request(&request).await.unwrap().body.len(), 2000);
}

#[tokio::test]
async fn a_redirect_to_the_same_service_is_followed_but_not_for_ever() {
    let server = Server::start(|request| match request.split(' ').nth(1) {
        Some("/there") => reply("200 OK", "", "arrived"),
        Some("/loop") => reply("302 Found", "location: /loop\r\n", ""),
        _ => reply("302 Found", "location: /there\r\n", ""),
    })
    .await;
    assert_eq!(get(&server.url("/here")).await.unwrap().body, b"arrived");
    let error = get(&server.url("/loop")).await.unwrap_err();
    assert!(error.message.contains("more than 5 redirects"), "{error}");
    assert_eq!(server.seen().len(), 2 + 6);
}

#[tokio::test]
async fn a_redirect_elsewhere_is_the_answer_and_nobody_goes_there() {
    let other = Server::start(|_| reply("200 OK", "", "private")).await;
    let target = other.url("/metadata");
    let server = Server::start({
        let target = target.clone();
        move |_| reply("302 Found", &format!("location: {target}\r\n"), "")
    })
    .await;
    let answer = get(&server.url("/")).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (302, Some(target.as_str())));
    assert_eq!(other.seen(), Vec::<String>::new());
}

#[test]
fn the_same_service_is_the_same_host_and_port() {
    let same = |from: &str, to: &str| same_service(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
    assert!(same("http://a.example/x", "http://a.example:80/y"));
    assert!(same("http://a.example/x", "https://a.example/x"));
    for (from, to) in [
        ("https://a.example/", "http://a.example/"),
        ("http://a.example/", "http://b.example/"),
        ("http://a.example/", "http://a.example:2375/"),
        ("http://a.example:8080/", "https://a.example/"),
        ("http://127.0.0.1/", "http://localhost/"),
    ] {
        assert!(!same(from, to), "{from} {to}");
    }
    for (url, loopback) in [
        ("http://localhost:1/", true),
        ("http://127.9.9.9/", true),
        ("http://[::1]:8/", true),
        ("http://localhost.example/", false),
        ("http://10.0.0.1/", false),
    ] {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
    }
}

#[tokio::test]
async fn the_timeout_covers_the_whole_exchange() {
    let server = Server::start(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stuck = format!("http://{}/", listener.local_addr().unwrap());
    let request = HttpRequest { timeout: Duration::from_millis(100), ..HttpRequest::get(stuck) };
    let began = Instant::now();
    let error = RealHttp::new().request(&request).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(3));
    let error = get(&server.url("/")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Transient, "the answer broke off: {error}");
}

#[tokio::test]
async fn failures_are_told_apart_and_show_no_secret() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = Server::start(|_| reply("200 OK", "", "")).await;
    let broken = Server::start(|_| b"garbage\r\n\r\n".to_vec()).await;
    let cases = [
        (format!("http://user:hidden@{free}/?token=hidden"), PortErrorKind::Unreachable, "connection refused"),
        ("http://no-such-host.invalid/?token=hidden".to_owned(), PortErrorKind::Unreachable, "no-such-host.invalid"),
        (format!("https://user:hidden@{}/", plain.address), PortErrorKind::Failed, "no secure connection"),
        (broken.url("/?hidden"), PortErrorKind::Transient, "broke off"),
        ("ftp://user:hidden@host/".to_owned(), PortErrorKind::Invalid, "neither http nor https"),
        ("user:hidden@host".to_owned(), PortErrorKind::Invalid, ""),
        ("http://user:hidden@ho st/".to_owned(), PortErrorKind::Invalid, "is not a URL"),
    ];
    for (url, kind, words) in cases {
        let error = get(&url).await.unwrap_err();
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(error.message.contains(words), "{error}");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
    let mut request = HttpRequest::get(plain.url("/"));
    request.secret_headers = vec![("x-token".into(), Secret::new("hidden\nx"))];
    let error = RealHttp::new().request(&request).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.message.contains("x-token") && !error.message.contains("hidden"), "{error}");
    for method in ["", "G T", "CONNECT"] {
        let request = HttpRequest { method: method.into(), ..HttpRequest::get(plain.url("/")) };
        assert_eq!(RealHttp::new().request(&request).await.unwrap_err().kind, PortErrorKind::Invalid);
    }
}

const HOLD: Duration = Duration::from_millis(60);

async fn connect(address: &str) -> PortResult<()> {
    RealHttp::new().connect(address, Duration::from_secs(5), HOLD).await
}

/// Listens, and does `with` to each connection.
async fn listen<F: Future<Output = ()> + Send>(with: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            with(listener.accept().await.unwrap().0).await;
        }
    });
    address
}

#[tokio::test]
async fn a_connection_counts_when_it_stays_open() {
    let silent = listen(|stream| async move {
        tokio::spawn(async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        });
    })
    .await;
    let began = Instant::now();
    connect(&silent).await.unwrap();
    assert!(began.elapsed() >= HOLD);
    let chatty = listen(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        tokio::spawn(async move { stream.read(&mut [0; 9]).await });
    })
    .await;
    connect(&chatty).await.unwrap();
}

#[tokio::test]
async fn accepting_and_hanging_up_is_what_an_engine_proxy_does_with_nobody_behind_it() {
    let closes = listen(|stream| async move { drop(stream) }).await;
    let resets = listen(|stream| async move {
        stream.set_zero_linger().unwrap();
    })
    .await;
    for address in [closes, resets] {
        let error = connect(&address).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Unreachable);
        assert!(error.message.contains("at once") && error.hint.unwrap().contains("proxy of a container engine"));
    }
}

#[tokio::test]
async fn nobody_there_and_bad_addresses_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = connect(&free).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.message.contains("connection refused"), "{error}");
    for bad in ["", "host", "host:", ":80", "host:0", "host:99999", "host:http"] {
        assert_eq!(connect(bad).await.unwrap_err().kind, PortErrorKind::Invalid, "{bad}");
    }
}
