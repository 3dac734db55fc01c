//! Building and pushing a 100 MB image: this program beside the docker program, interleaved, medians, ratios.
//!
//! ```text
//! cargo bench --bench docker             5 rounds
//! cargo bench --bench docker -- rounds=9
//! ```
//!
//! Beside the step, the whole run is told: it waits for its journal to be on the disk, behind all that the engine wrote there.
//!
//! Needs a Docker engine and the program `docker-registry`. Each side pushes to a registry of its own, and each round builds other bytes, so
//! that nothing is there already. Both make the same image, label included.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use common::{emit, median};

const MEGABYTES: u64 = 100;

fn main() {
    let rounds: usize = std::env::args().find_map(|word| word.strip_prefix("rounds=")?.parse().ok()).unwrap_or(5);
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a real disk");
    let sides = [Side::new("formula", scratch.path()), Side::new("docker", scratch.path())];
    let mut costs: [[Vec<(f64, f64)>; 2]; 2] = Default::default();
    for round in 0..rounds {
        for index in 0..2 {
            let side = (index + round) % 2;
            sides[side].fill();
            costs[side][0].push(sides[side].build());
            costs[side][1].push(sides[side].push());
        }
    }
    let mut text = format!("{MEGABYTES} MB image ({rounds} rounds, medians)\n");
    for (index, what) in ["build", "push"].into_iter().enumerate() {
        let [step, run, docker] = [(0, true), (0, false), (1, false)].map(|(side, step): (usize, bool)| {
            median(&mut costs[side][index].iter().map(|&(run, work)| if step { work } else { run }).collect::<Vec<_>>())
        });
        let _ = writeln!(
            text,
            "    {what:<6} the step {step:>6.2} s  docker {docker:>6.2} s  {:.2} x docker   the run with its journal {run:>6.2} s",
            step / docker
        );
    }
    emit(text.trim_end());
}

/// Seconds between two events of a run.
fn between(events: &str, first: &str, last: &str) -> f64 {
    let at = |kind: &str| {
        let mut events = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let event = events.find(|event| event["event"]["type"] == kind).unwrap_or_else(|| panic!("no {kind}"));
        // 2026-01-02T03:04:05.678Z
        let time: Vec<f64> = event["at"].as_str().expect("a time")[11..23].split(':').map(|part| part.parse().expect("a number")).collect();
        time.iter().fold(0.0, |sum, part| sum * 60.0 + part)
    };
    (at(last) - at(first)).rem_euclid(86_400.0)
}

/// One of the two programs, with a folder to build from and a registry of its own.
struct Side {
    formula: bool,
    folder: PathBuf,
    image: String,
    registry: Child,
}

impl Side {
    fn new(name: &str, scratch: &Path) -> Self {
        let folder = scratch.join(name);
        fs::create_dir_all(folder.join("formulas")).expect("a folder");
        fs::create_dir_all(folder.join("context")).expect("a folder");
        fs::write(folder.join("context/Dockerfile"), "FROM scratch\nCOPY data /data\n").expect("a file");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let image = format!("127.0.0.1:{port}/formula-bench-{name}:v1");
        let config = folder.join("registry.yml");
        let data = folder.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            data.display()
        );
        fs::write(&config, text).expect("a file");
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        let head =
            |name: &str| format!("name = \"{name}\"\ndescription = \"One workload of the bench\"\nversion = 1\n\n[[steps]]\nid = \"it\"\n");
        let build = format!(
            "{}uses = \"docker-build\"\nwith = {{ context = \"context\", tags = [\"{image}\"], no_cache = true }}\n",
            head("build")
        );
        let push =
            format!("{}uses = \"image-push\"\nwith = {{ image = \"{image}\", tags = [\"{image}\"], overwrite = true }}\n", head("push"));
        fs::write(folder.join("formulas/build.toml"), build).expect("a file");
        fs::write(folder.join("formulas/push.toml"), push).expect("a file");
        Self { formula: name == "formula", folder, image, registry }
    }

    /// Other bytes than ever before.
    fn fill(&self) {
        let mut random = fs::File::open("/dev/urandom").expect("random bytes").take(MEGABYTES * 1_000_000);
        let mut data = fs::File::create(self.folder.join("context/data")).expect("a file");
        std::io::copy(&mut random, &mut data).expect("it fits on the disk");
        data.sync_all().expect("a disk");
    }

    fn build(&self) -> (f64, f64) {
        if self.formula {
            return self.run(env!("CARGO_BIN_EXE_formula"), &["run", "build", "--fresh", "--yes", "--json"]);
        }
        // The same image: with the label that says what it was built from, for which the engine makes a layer of its own.
        let label = "formula.build.digest=blake3:0000000000000000000000000000000000000000000000000000000000000000";
        self.run("docker", &["build", "--quiet", "--no-cache", "--label", label, "--tag", &self.image, "context"])
    }

    fn push(&self) -> (f64, f64) {
        if self.formula {
            return self.run(env!("CARGO_BIN_EXE_formula"), &["run", "push", "--fresh", "--yes", "--json"]);
        }
        self.run("docker", &["push", "--quiet", &self.image])
    }

    /// Seconds that a program took, and those of them in which its step worked.
    fn run(&self, program: &str, args: &[&str]) -> (f64, f64) {
        let start = Instant::now();
        // The classic builder on both sides.
        let out = Command::new(program).args(args).current_dir(&self.folder).env("DOCKER_BUILDKIT", "0").output().expect("it starts");
        assert!(out.status.success(), "{program} {args:?} failed:\n{}", String::from_utf8_lossy(&out.stderr));
        let took = start.elapsed().as_secs_f64();
        let step = || between(&String::from_utf8_lossy(&out.stdout), "attempt_started", "attempt_succeeded");
        (took, if self.formula { step() } else { took })
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
        let _ = Command::new("docker").args(["rmi", "--force", &self.image]).output();
    }
}
