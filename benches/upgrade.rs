//! An upgrade of a real box beside the same steps typed by hand, and for how long the box does not answer meanwhile.
//!
//! ```text
//! cargo bench --bench upgrade             3 rounds
//! cargo bench --bench upgrade -- rounds=5
//! ```
//!
//! Needs a Docker engine, compose and `docker-registry`, as the tests do. By hand: fetch, check out, set the key, put the rendered compose
//! file there, run the migrations, pull, `up --detach --wait`. The downtime is held against `up --force-recreate` of all services.

mod common;
#[path = "../tests/it/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests need more of it")]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{emit, median};
use support::{BoxFixture, Program, Sandbox, formula};

fn main() {
    let rounds: usize = std::env::args().find_map(|word| word.strip_prefix("rounds=")?.parse().ok()).unwrap_or(3);
    let (mut ours, mut hand, mut forced, mut doctor) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let sandbox = Sandbox::new();
        let on = BoxFixture::ready_box(&sandbox);
        doctor.push(timed(&on, || drop(formula(&sandbox).args(["doctor"]).run())).0);
        let health = on.health_url();
        let argv = ["run", "upgrade", "--version", "v0.3.0", "--health-url", &health, "--health-version-pointer", "body"];
        ours.push(timed(&on, || {
            formula(&sandbox).args(argv).run().exits(0);
        }));
        let rendered = sandbox.read("docker-compose.yml");
        forced.push(timed(&on, || on.compose(&["up", "--detach", "--wait", "--quiet-pull", "--force-recreate"])));

        let sandbox = Sandbox::new();
        let other = BoxFixture::ready_box(&sandbox);
        // Another box has another registry and port.
        let rendered =
            rendered.replace(&on.registry.host(), &other.registry.host()).replace(&format!(":{}:", on.port), &format!(":{}:", other.port));
        hand.push(timed(&other, || by_hand(&sandbox, &other, &rendered)));
        emit(&format!("round {} of {rounds}", round + 1));
    }
    let seconds = |of: &mut Vec<f64>| median(of);
    let [mut wall, mut by, mut all] = [&ours, &hand, &forced].map(|costs| costs.iter().map(|cost| cost.0).collect::<Vec<f64>>());
    let [mut down, mut by_down, mut all_down] = [&ours, &hand, &forced].map(|costs| costs.iter().map(|cost| cost.1).collect::<Vec<f64>>());
    let (wall, by, all) = (seconds(&mut wall), seconds(&mut by), seconds(&mut all));
    let (down, by_down, all_down) = (seconds(&mut down), seconds(&mut by_down), seconds(&mut all_down));
    emit(&format!("upgrade to healthy   {wall:>6.2} s   by hand {by:>6.2} s   {:.2} x by hand   force-recreate {all:>6.2} s", wall / by));
    emit(&format!(
        "port does not answer {down:>6.2} s   by hand {by_down:>6.2} s   force-recreate {all_down:>6.2} s   {:.2} x force-recreate",
        down / all_down
    ));
    emit(&format!("doctor               {:>6.2} s", median(&mut doctor)));
}

/// How long an answer may take before the one who asked counts as not served.
const PATIENCE: Duration = Duration::from_millis(250);
/// Between two who ask.
const PACE: Duration = Duration::from_millis(10);

/// Seconds that something took, and seconds for which the box did not answer meanwhile.
///
/// Somebody new asks every few milliseconds, whatever became of those before: one who asked while nobody listened may hang for a second on
/// a lost packet, and must not hide that the next one is served.
fn timed(on: &BoxFixture<'_>, work: impl FnOnce()) -> (f64, f64) {
    let over = Arc::new(AtomicBool::new(false));
    let (port, ended) = (on.port, over.clone());
    let watch = std::thread::spawn(move || {
        let (mut asked, mut quiet) = (Vec::new(), 0);
        // It counts until the box has answered again for a while.
        while !ended.load(Ordering::Relaxed) || quiet < 50 {
            let start = Instant::now();
            asked.push((start, std::thread::spawn(move || answers(port) && start.elapsed() <= PATIENCE)));
            quiet = if ended.load(Ordering::Relaxed) { quiet + 1 } else { 0 };
            std::thread::sleep(PACE);
        }
        let served: Vec<(Instant, bool)> = asked.into_iter().map(|(at, one)| (at, one.join().expect("it only asks"))).collect();
        served.windows(2).filter(|pair| !pair[0].1).map(|pair| pair[1].0 - pair[0].0).sum::<Duration>()
    });
    let start = Instant::now();
    work();
    let took = start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    (took, watch.join().expect("it only looks").as_secs_f64())
}

fn answers(port: u16) -> bool {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return false };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut answer = String::new();
    stream.write_all(b"GET /api/version HTTP/1.0\r\n\r\n").is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
}

fn by_hand(sandbox: &Sandbox, on: &BoxFixture<'_>, rendered: &str) {
    on.git(&["fetch", "--quiet", "--tags", "origin"]);
    on.git(&["checkout", "--quiet", "v0.3.0"]);
    on.append(".env", "DISINTO_VERSION=v0.3.0\n");
    sandbox.write("docker-compose.yml", rendered);
    for version in ["v0.2.1", "v0.2.2", "v0.3.0"] {
        Program::new(sandbox, "sh").args([format!("migrations/{version}.sh")]).run().exits(0);
    }
    on.compose(&["pull", "--quiet"]);
    on.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
}
