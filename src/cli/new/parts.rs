//! A step of each kind, and what a fake world needs for it to go well.

/// A kind's part of a new formula and of its test.
pub(super) struct Part {
    kind: &'static str,
    /// The step, where the kind's own example would not stand alone.
    pub step: Option<&'static str>,
    /// What else the formula declares.
    pub declares: &'static str,
    /// What the world holds.
    pub world: &'static [World],
}

/// Things that a fake world can hold; each is written once, however many steps need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum World {
    /// A person who approves.
    Gate,
    /// Files beside the repository.
    Env,
    /// A compose file, and what it runs.
    Compose,
    /// A commit with a tag, and a mirror that lacks it.
    Git,
    /// An image of the engine.
    Image,
    /// A registry with that image.
    Registry,
    /// An address that tells the version.
    Health,
    /// An address that takes messages.
    Chat,
}

impl World {
    /// In a test file.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Gate => "[gates]\napprove = \"approve\"\n",
            Self::Env => "[world.files.\".env\"]\ntext = \"\"\"\nAPP_VERSION=v1.1.0\nDISINTO_VERSION=v1.2.0\n\"\"\"\n",
            Self::Compose => {
                "[world.files.\"docker-compose.yml\"]\ntext = \"\"\"\nname: shop\nservices:\n  agents:\n    image: ghcr.io/acme/agents:v1.2.0\n\"\"\"\n\n\
                 [world]\nrunning = [\"docker-compose.yml\"]\n"
            }
            Self::Git => {
                "[world.git]\nignored = [\".env\", \"docker-compose.yml*\", \"release/\", \"build/\"]\n\
                 remotes = { origin = {}, codeberg = { lacks = [\"v1.2.0\"] } }\n\n\
                 [[world.git.commits]]\ntag = \"v1.2.0\"\nfiles = { VERSION = \"1.2.0\\n\", Dockerfile = \"FROM scratch\\n\" }\n"
            }
            Self::Image => "[world.images]\n\"ghcr.io/acme/agents:v1.2.0\" = {}\n",
            Self::Registry => "[world.registries.\"ghcr.io\"]\nimages = { \"acme/agents:v1.2.0\" = {} }\n",
            Self::Health => "[world.http]\n\"GET http://127.0.0.1:8080/api/version\" = '{\"version\":\"v1.2.0\"}'\n",
            Self::Chat => "[world.http]\n\"GET https://chat.example/api/topic\" = '{\"text\":\"v1.2.0 is out\"}'\n",
        }
    }
}

const fn part(kind: &'static str, world: &'static [World]) -> Part {
    Part { kind, step: None, declares: "", world }
}

/// What is known of kinds that need something. A kind that is not here needs nothing.
static PARTS: [Part; 18] = [
    part("approve", &[World::Gate]),
    part("compose-regen", &[World::Env, World::Git]),
    part("compose-restart", &[World::Compose, World::Image]),
    part("compose-up", &[World::Compose, World::Image]),
    part("docker-build", &[World::Git]),
    part("env-set", &[World::Env]),
    Part { step: Some("id = \"greet\"\nuses = \"formula\"\nwith = { formula = \"hello\" }\n"), ..part("formula", &[]) },
    part("git-checkout", &[World::Git]),
    part("git-fetch", &[World::Git]),
    part("git-push", &[World::Git]),
    part("health-check", &[World::Compose, World::Image, World::Health]),
    Part { declares: "[secrets.CHAT_TOKEN]\nfrom = \"env:CHAT_TOKEN\"\n", ..part("http-request", &[World::Chat]) },
    part("image-pull", &[World::Registry]),
    Part {
        step: Some(
            "id = \"push\"\nuses = \"image-push\"\nwith = { image = \"ghcr.io/acme/agents:v1.2.0\", tags = [\"ghcr.io/acme/agents:v1.2.0\"] }\n",
        ),
        ..part("image-push", &[World::Image, World::Registry])
    },
    part("image-tag", &[World::Image]),
    part("migrate", &[World::Env, World::Git]),
    part("preflight", &[World::Git, World::Registry]),
    // The fake box is no factory box, and its compose file is nobody's.
    Part {
        step: Some(
            "id = \"survey\"\nuses = \"survey\"\nwith = { health_urls = [\"http://127.0.0.1:8080/api/version\"], accept = [\"d7\", \"d13\", \"d17\"] }\n",
        ),
        ..part("survey", &[World::Env, World::Compose, World::Git, World::Image, World::Health])
    },
];

/// What is known of a kind.
pub(super) fn of(kind: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.kind == kind)
}
