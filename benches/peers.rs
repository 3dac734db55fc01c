//! Whole runs beside ninja and beside the limit of the machine: same workloads, interleaved rounds, medians, ratios of the same rounds.
//!
//! ```text
//! cargo bench --bench peers                        every workload, 5 rounds
//! cargo bench --bench peers -- fanout chain        only these
//! cargo bench --bench peers -- rounds=9
//! ```
//!
//! `ninja` is left out where it is not installed. The limit is the least that any durable runner must do: spawn the program, and commit one row with
//! `synchronous = FULL` before the next one starts in that slot.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    cpu: f64,
    rss_kib: i64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first() {
        Some((first, rest)) if first == "--measure" => measure_here(rest),
        Some((first, rest)) if first == "--limit" => limit(&rest[0], &rest[1], Path::new(&rest[2])),
        _ => bench(&args),
    }
}

/// Runs a command and prints its cost; in a process of its own, so that the peak memory is that command's.
fn measure_here(argv: &[String]) {
    let start = Instant::now();
    let status = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it starts");
    let seconds = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("there were children");
    let time = |value: nix::sys::time::TimeVal| value.tv_sec() as f64 + value.tv_usec() as f64 / 1e6;
    let code = status.code().unwrap_or(255);
    emit(&format!("{code} {seconds} {} {}", time(usage.user_time()) + time(usage.system_time()), usage.max_rss()));
}

/// Spawns `/bin/true` `count` times over `slots` threads, each with one durable commit.
fn limit(count: &str, slots: &str, folder: &Path) {
    let (count, slots): (usize, usize) = (count.parse().expect("a number"), slots.parse().expect("a number"));
    let path = folder.join("limit.db");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (a, b)").expect("a table");
    let connection = std::sync::Mutex::new(connection);
    let left = std::sync::atomic::AtomicUsize::new(count);
    std::thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(|| {
                while left
                    .fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    Command::new("/bin/true").status().expect("it starts");
                    connection.lock().expect("no panic").execute("INSERT INTO t VALUES (1, 'x')", []).expect("a commit");
                }
            });
        }
    });
}

fn bench(only: &[String]) {
    let rounds: usize = only.iter().find_map(|word| word.strip_prefix("rounds=")?.parse().ok()).unwrap_or(5);
    let only: Vec<&String> = only.iter().filter(|word| !word.starts_with("rounds=")).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| *word == name);
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
    let ninja = Command::new("ninja").arg("--version").stdout(Stdio::null()).status().is_ok();
    let formula = env!("CARGO_BIN_EXE_formula");
    let own = std::env::current_exe().expect("our own path");
    for (workload, count) in [("fanout", 200), ("fanout", 1000), ("chain", 1000), ("layers", 1000)] {
        if !wanted(workload) {
            continue;
        }
        let folder = scratch.path().join(format!("{workload}-{count}"));
        let steps = graph(workload, count);
        write_formula(&folder, &steps);
        write_ninja(&folder, &steps);
        let slots = if workload == "chain" { "1" } else { "2" };
        let mut jobs: Vec<(&str, Vec<String>)> = vec![
            ("formula", words(&[formula, "run", "bench", "--fresh", "--yes"])),
            ("limit", words(&[own.to_str().expect("text"), "--limit", &count.to_string(), slots, folder.to_str().expect("text")])),
        ];
        if ninja {
            jobs.push(("ninja", words(&["ninja", "-j2"])));
        }
        report(&format!("{workload} {count}"), &folder, rounds, &jobs, count);
    }
    if wanted("load") {
        let folder = scratch.path().join("load");
        write_formula(&folder, &graph("layers", 1000));
        let jobs = [("check", words(&[formula, "check", "bench"])), ("plan", words(&[formula, "plan", "bench"]))];
        report("load 1000 steps, 19,000 edges", &folder, rounds, &jobs, 0);
        for count in [10_000, 100_000] {
            let folder = scratch.path().join(format!("load-{count}"));
            write_formula(&folder, &graph("chain", count));
            report(
                &format!("load {count} steps"),
                &folder,
                rounds.min(3),
                &[("check", words(&[formula, "check", "bench"])), ("plan", words(&[formula, "plan", "bench"]))],
                0,
            );
        }
    }
    if wanted("start") {
        let folder = scratch.path().join("start");
        write_formula(&folder, &graph("fanout", 1));
        let mut jobs = vec![
            ("formula --version", words(&[formula, "--version"])),
            ("one step", words(&[formula, "run", "bench", "--fresh", "--yes"])),
        ];
        if ninja {
            jobs.push(("ninja --version", words(&["ninja", "--version"])));
        }
        report("start", &folder, rounds.max(15), &jobs, 0);
    }
    if wanted("output") {
        output(formula, scratch.path(), rounds);
    }
}

/// A step that prints 1 GiB, with ten secrets registered.
fn output(formula: &str, scratch: &Path, rounds: usize) {
    let folder = scratch.join("output");
    std::fs::create_dir_all(folder.join("formulas")).expect("a folder");
    let mut text = String::from("name = \"bench\"\ndescription = \"Output\"\nversion = 1\n\n");
    let mut names = Vec::new();
    for index in 0..10 {
        let _ = writeln!(text, "[secrets.SECRET_{index}]\nfrom = [\"file:secret-{index}\"]\n");
        std::fs::write(folder.join(format!("secret-{index}")), format!("correct-horse-{index}-battery-staple")).expect("a file");
        names.push(format!("\"SECRET_{index}\""));
    }
    let _ = write!(
        text,
        "[[steps]]\nid = \"flood\"\nuses = \"shell\"\nsecrets = [{}]\nwith = {{ script = \"yes 'a line of output that is about eighty characters long, as lines of programs often are' | head -c 1073741824\", idempotent = true }}\n",
        names.join(", ")
    );
    std::fs::write(folder.join("formulas/bench.toml"), text).expect("a file");
    let costs = report(
        "1 GiB of output, ten secrets",
        &folder,
        rounds.min(3),
        &[("formula", words(&[formula, "run", "bench", "--fresh", "--yes"]))],
        0,
    );
    if let Some(cost) = costs.get("formula") {
        emit(&format!("    {:.0} MiB/s, peak {:.1} MiB", 1024.0 / cost.seconds, cost.rss_kib as f64 / 1024.0));
    }
}

/// Measures jobs in interleaved rounds and prints medians.
fn report(title: &str, folder: &Path, rounds: usize, jobs: &[(&str, Vec<String>)], steps: usize) -> BTreeMap<String, Cost> {
    let mut samples: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
    for round in 0..rounds {
        for index in 0..jobs.len() {
            let (name, argv) = &jobs[(index + round) % jobs.len()];
            clean(folder);
            samples.entry(name).or_default().push(measure(folder, argv));
        }
    }
    emit(&format!("{title} ({rounds} rounds, medians)"));
    let medians: BTreeMap<String, Cost> = samples.into_iter().map(|(name, costs)| (name.to_owned(), median(costs))).collect();
    let base = |name: &str| medians.get(name).copied();
    for (name, cost) in &medians {
        let mut line = format!(
            "    {name:<18} {:>9.2} ms  cpu {:>8.2} ms  peak {:>6.1} MiB",
            cost.seconds * 1e3,
            cost.cpu * 1e3,
            cost.rss_kib as f64 / 1024.0
        );
        if let (Some(ninja), true) = (base("ninja"), name == "formula") {
            let _ = write!(line, "  {:.2} x ninja (cpu {:.2})", cost.seconds / ninja.seconds, cost.cpu / ninja.cpu);
        }
        if let (Some(limit), true) = (base("limit"), name == "formula") {
            let _ = write!(line, "  {:.0} us a step over the limit", (cost.seconds - limit.seconds) * 1e6 / steps as f64);
        }
        emit(&line);
    }
    medians
}

fn measure(folder: &Path, argv: &[String]) -> Cost {
    let own = std::env::current_exe().expect("our own path");
    let out = Command::new(own).arg("--measure").args(argv).current_dir(folder).env("NO_COLOR", "1").output().expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut parts = text.split_whitespace();
    let code = parts.next();
    assert_eq!(code, Some("0"), "{argv:?} failed");
    let mut number = || parts.next().and_then(|part| part.parse::<f64>().ok()).expect("a number");
    Cost { seconds: number(), cpu: number(), rss_kib: number() as i64 }
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    costs[costs.len() / 2]
}

fn clean(folder: &Path) {
    for name in [".formula", ".ninja_log", ".ninja_deps", "limit.db", "limit.db-wal", "limit.db-shm"] {
        let path = folder.join(name);
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Steps with what they need.
fn graph(workload: &str, count: usize) -> Vec<Vec<usize>> {
    match workload {
        "fanout" => vec![Vec::new(); count],
        "chain" => (0..count).map(|index| index.checked_sub(1).into_iter().collect()).collect(),
        _ => {
            let width = (count / 20).max(1);
            let needs = |index: usize| {
                let (layer, place) = (index / width, index % width);
                if layer == 0 {
                    Vec::new()
                } else {
                    (0..20.min(width)).map(|offset| (layer - 1) * width + (place + offset) % width).collect()
                }
            };
            (0..width * 20).map(needs).collect()
        }
    }
}

fn write_formula(folder: &Path, steps: &[Vec<usize>]) {
    let mut text = String::from("name = \"bench\"\ndescription = \"One workload of the bench\"\nversion = 1\nmax_parallel = 2\n");
    for (index, needs) in steps.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(|need| format!("\"s{need:05}\"")).collect();
        let _ = write!(
            text,
            "\n[[steps]]\nid = \"s{index:05}\"\nuses = \"shell\"\nneeds = [{}]\nwith = {{ command = [\"/bin/true\"], idempotent = true }}\n",
            needs.join(", ")
        );
    }
    let path: PathBuf = folder.join("formulas");
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join("bench.toml"), text).expect("a file");
}

fn write_ninja(folder: &Path, steps: &[Vec<usize>]) {
    let mut text = String::from("rule run\n  command = $cmd\n\n");
    for (index, needs) in steps.iter().enumerate() {
        let needs = needs.iter().fold(String::new(), |all, need| all + &format!(" s{need:05}"));
        let bar = if needs.is_empty() { "" } else { " |" };
        let _ = write!(text, "build s{index:05}: run{bar}{needs}\n  cmd = /bin/true\n");
    }
    std::fs::write(folder.join("build.ninja"), text).expect("a file");
}

#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
fn emit(line: &str) {
    println!("{line}");
}
