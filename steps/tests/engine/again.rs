//! A container that is made once more is the same one, but for its id.

use formula_steps::world::Docker as _;
use formula_steps::world::OutputBuffer;
use formula_steps::world::real::{DockerSettings, RealDocker};

use super::compose_up::volumes_of;
use crate::support::{Folder, Tags, docker, docker_quietly, engine_or_skip};

const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nVOLUME /data\nEXPOSE 80\n";

/// Gone with the value.
struct Objects {
    containers: Vec<String>,
    networks: Vec<String>,
}

impl Drop for Objects {
    fn drop(&mut self) {
        // One that was given to a container again does not go with it.
        let volumes: Vec<String> = self.containers.iter().flat_map(|name| volumes_of(name)).collect();
        for name in &self.containers {
            docker_quietly(&["rm", "--force", "--volumes", name]);
        }
        for volume in &volumes {
            docker_quietly(&["volume", "rm", volume]);
        }
        for name in &self.networks {
            docker_quietly(&["network", "rm", name]);
        }
    }
}

#[tokio::test]
async fn files_of_a_volume_are_found_whether_the_container_runs_or_not() {
    engine_or_skip!("files_of_a_volume_are_found_whether_the_container_runs_or_not");
    let (engine, tags) = (RealDocker::new(DockerSettings::default()), Tags::default());
    let image = tags.local();
    let folder = Folder::with_busybox(&[("Dockerfile", DOCKERFILE)]);
    engine.build(&folder.build(&[&image]), &OutputBuffer::new()).await.expect("a build");
    let name = format!("formula-test-files-{}", std::process::id());
    let _objects = Objects { containers: vec![name.clone()], networks: Vec::new() };
    let image = image.to_string();
    let script = "busybox mkdir -p /data/a/.git /data/not.git && echo one >/data/a/.git/config && echo two >/data/not.git/config; exec busybox sleep 1000";
    let args = ["run", "--detach", "--label", "formula.test=1", "--stop-signal", "SIGKILL", "--env", "PATH=/bin", "--name", &name, &image];
    docker(&[&args[..], &["/bin/busybox", "sh", "-c", script]].concat());
    // The script has no way to say that it is done but the files themselves.
    let config = format!("{name}:/data/not.git/config");
    while docker_quietly(&["cp", &config, "-"]).is_empty() {
        tokio::task::yield_now().await;
    }
    for running in [true, false] {
        if !running {
            engine.stop_container(&name).await.expect("it stops");
        }
        let found = engine.find_files(&name, "/data", ".git/config", 1 << 20).await.expect("an answer");
        let files: Vec<_> = found.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        assert_eq!((files, found.whole), (vec![("a/.git/config", &b"one\n"[..])], true));
    }
    let found = engine.find_files(&name, "/bin", ".git/config", 1 << 16).await.expect("an answer");
    assert!(!found.whole && found.files.is_empty(), "busybox alone is more than that");
    let missing = engine.find_files(&name, "/none", ".git/config", 1).await.expect_err("there is none");
    assert_eq!(missing.kind, formula_steps::world::PortErrorKind::NotFound);
}

#[tokio::test]
async fn a_container_is_made_again_as_it_was() {
    engine_or_skip!("a_container_is_made_again_as_it_was");
    let (engine, tags) = (RealDocker::new(DockerSettings::default()), Tags::default());
    let image = tags.local();
    let folder = Folder::with_busybox(&[("Dockerfile", DOCKERFILE)]);
    engine.build(&folder.build(&[&image]), &OutputBuffer::new()).await.expect("a build");
    let name = format!("formula-test-again-{}", std::process::id());
    let (one, two, other) = (format!("{name}-one"), format!("{name}-two"), format!("{name}-other"));
    let _objects = Objects { containers: vec![other.clone(), name.clone()], networks: vec![one.clone(), two.clone()] };
    for network in [&one, &two] {
        docker(&["network", "create", "--label", "formula.test=1", network]);
    }
    let image = image.to_string();
    let run = |more: &[&str]| {
        let mut args = vec!["run", "--detach", "--init", "--label", "formula.test=1", "--stop-signal", "SIGKILL"];
        args.extend(more);
        args.extend([&image, "/bin/busybox", "sleep", "1000"]);
        docker(&args);
    };
    run(&["--name", &name, "--network", &one, "--network-alias", "web", "--publish", "127.0.0.1::80", "--env", "A=b c", "--user", "1:1"]);
    docker(&["network", "connect", "--alias", "second", &two, &name]);
    let old = inspect(&name, "{{.Id}}");
    run(&["--name", &other, "--network", &format!("container:{name}"), "--volumes-from", &old]);
    let volume = "{{range .Mounts}}{{.Name}} {{.Destination}} {{.RW}};{{end}}";
    let kept = "{{json .HostConfig.PortBindings}} {{json .HostConfig.Init}} {{json .Config.Env}} {{json .Config.User}} {{json .Config.Cmd}} \
                {{json .Config.Labels}} {{json .Config.Image}} {{.Image}} {{.Config.StopSignal}}";
    let seen = |name: &str| format!("{} {}", inspect(name, volume), inspect(name, kept));
    let (before, before_other) = (seen(&name), seen(&other));

    let written = engine.blueprint(&name).await.expect("an answer").expect("it is there");
    let leaning = engine.blueprint(&other).await.expect("an answer").expect("it is there");
    assert_eq!((written.shares.len(), &leaning.shares), (0, &vec![old.clone()]));
    for name in [&other, &name] {
        engine.stop_container(name).await.expect("it stops");
        engine.stop_container(name).await.expect("it has stopped");
        engine.remove_container(name, false).await.expect("it goes");
        engine.stop_container(name).await.expect("nothing to stop");
    }
    let id = engine.create_container(&written).await.expect("made again");
    assert_ne!(id, old);
    assert_eq!(inspect(&name, "{{.State.Status}}"), "created");
    engine.start_container(&name).await.expect("it starts");
    engine.start_container(&name).await.expect("it runs");
    assert_eq!(seen(&name), before);
    let aliases = inspect(&name, "{{range $n, $e := .NetworkSettings.Networks}}{{$n}}={{json $e.Aliases}} {{end}}");
    assert!(aliases.contains(&format!("{one}=[\"web\"")) && aliases.contains(&format!("{two}=[\"second\"")), "{aliases}");
    assert!(!aliases.contains(&old[..12]), "{aliases}");

    let leaning = leaning.leaning_on(&old, &id);
    engine.start_container(&engine.create_container(&leaning).await.expect("made again")).await.expect("it starts");
    assert_eq!(seen(&other), before_other);
    assert_eq!(inspect(&other, "{{.HostConfig.NetworkMode}}"), format!("container:{id}"));

    let taken = engine.create_container(&written).await.expect_err("the name is taken");
    assert_eq!(taken.kind, formula_steps::world::PortErrorKind::Conflict);
    engine.rename_container(&other, &format!("{name}-renamed")).await.expect("a free name");
    engine.rename_container(&format!("{name}-renamed"), &other).await.expect("and back");
    let networks = engine.networks(&[("formula.test".to_owned(), "1".to_owned())].into()).await.expect("an answer");
    assert!(networks.iter().any(|network| network.name == one));
    assert!(engine.remove_network(&one).await.is_err(), "a container is in it");
    let repository = image.rsplit_once(':').expect("a tag").0;
    assert_eq!(engine.images(repository).await.expect("an answer").len(), 1);
    assert_eq!(engine.images("formula.test/none").await.expect("an answer").len(), 0);
}

fn inspect(name: &str, format: &str) -> String {
    docker(&["container", "inspect", "--format", format, name])
}
