//! Names of images that no other test uses, taken away at the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use formula_steps::world::ImageRef;

use super::docker_quietly;

/// Hands out names and takes them away when it goes.
#[derive(Default)]
pub struct Tags(Mutex<Vec<String>>);

impl Tags {
    /// A new name in the local engine.
    pub fn local(&self) -> ImageRef {
        self.at("formula.test")
    }

    /// A new name at a registry.
    pub fn at(&self, registry: &str) -> ImageRef {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{registry}/formula-test/{}-{number}:v1", std::process::id());
        self.watch(&ImageRef::parse(&name).expect("a valid name"))
    }

    /// Takes this name away as well.
    pub fn watch(&self, name: &ImageRef) -> ImageRef {
        self.0.lock().expect("no test holds it").push(name.to_string());
        name.clone()
    }
}

impl Drop for Tags {
    fn drop(&mut self) {
        for name in self.0.lock().expect("no test holds it").iter() {
            docker_quietly(&["image", "rm", name]);
        }
    }
}
