//! An upgrade of a real box beside the same steps typed by hand, and for how long the box does not answer meanwhile.
//!
//! ```text
//! cargo bench --bench upgrade             3 rounds
//! cargo bench --bench upgrade -- rounds=5
//! ```
//!
//! Needs a Docker engine, compose and `docker-registry`, as the tests do. By hand: fetch, check out, set the key, put the rendered compose
//! file there, run the migrations, pull, `up --detach --wait`. The downtime is held against `up --force-recreate` of all services.

#[path = "../tests/it/support/mod.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests need more of it")]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Seconds that something took, and seconds for which the box did not answer meanwhile.
fn timed(on: &BoxFixture<'_>, work: impl FnOnce()) -> (f64, f64) {
    let over = Arc::new(AtomicBool::new(false));
    let (port, ended) = (on.port, over.clone());
    let watch = std::thread::spawn(move || {
        let (mut down, mut since) = (Duration::ZERO, None);
        // It counts until the box answers again.
        while !ended.load(Ordering::Relaxed) || since.is_some() {
            match (answers(port), since) {
                (false, None) => since = Some(Instant::now()),
                (true, Some(start)) => {
                    down += start.elapsed();
                    since = None;
                }
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        down
    });
    let start = Instant::now();
    work();
    let took = start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    (took, watch.join().expect("it only looks").as_secs_f64())
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
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

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
fn emit(line: &str) {
    println!("{line}");
}
