//! The sources as a tree of modules, found as the compiler finds them: from the crate roots along `mod` declarations.
//!
//! Reads from a map of path to text, so that a rule can be tried on a house of three lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Attribute, Item};

/// Files by path from the repository's root, with `/`.
pub type Files = BTreeMap<String, String>;

/// One source file and its place.
pub struct Source {
    /// Path from the repository's root.
    pub path: String,
    /// Crate and modules, as in `["formula", "engine", "fold"]`.
    pub module: Vec<String>,
    /// Whether it is compiled for tests only.
    pub test: bool,
    /// Its text.
    pub text: String,
    /// Its syntax.
    pub ast: syn::File,
}

/// All sources.
pub struct Tree {
    /// Every file under the source folders that some crate root reaches.
    pub sources: Vec<Source>,
    /// Files that no `mod` declaration reaches: the compiler never sees them.
    pub orphans: Vec<String>,
    /// Every module that there is, as in [`Source::module`].
    pub modules: BTreeSet<Vec<String>>,
}

impl Tree {
    /// The house as it stands on the disk, and all files that a rule may want to look into.
    pub fn load(root: &Path) -> (Self, Files) {
        let mut files = Files::new();
        for folder in ["src", "steps", "tests"] {
            collect(root, folder, &mut files);
        }
        for path in ["Cargo.toml", "docs/architecture.md"] {
            let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"));
            files.insert(path.to_owned(), text);
        }
        (Self::from_files(&files), files)
    }

    /// A house from memory.
    pub fn from_files(files: &Files) -> Self {
        let mut tree = Self { sources: Vec::new(), orphans: Vec::new(), modules: BTreeSet::new() };
        let mut reached = BTreeSet::new();
        for path in files.keys() {
            let (crate_name, module, test) = match path.as_str() {
                "src/lib.rs" => ("formula", None, false),
                "src/main.rs" => ("formula", Some("main"), false),
                "steps/lib.rs" => ("formula_steps", None, false),
                "tests/it/main.rs" => ("it", None, true),
                path if is_test_root(path) => (path, None, true),
                _ => continue,
            };
            let module: Vec<String> = [Some(crate_name), module].into_iter().flatten().map(str::to_owned).collect();
            tree.walk(files, &mut reached, Pending { path: path.clone(), module, test, owns_folder: true });
        }
        tree.orphans = files.keys().filter(|path| is_rust(path) && !reached.contains(*path)).cloned().collect();
        tree
    }

    fn walk(&mut self, files: &Files, reached: &mut BTreeSet<String>, file: Pending) {
        let text = &files[&file.path];
        let ast = syn::parse_file(text).unwrap_or_else(|error| panic!("`{}`: {error}", file.path));
        reached.insert(file.path.clone());
        self.modules.insert(file.module.clone());
        let folder = if file.owns_folder {
            file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
        } else {
            file.path.trim_end_matches(".rs").to_owned()
        };
        let mut children = Vec::new();
        for item in &ast.items {
            let Item::Mod(declared) = item else { continue };
            let name = declared.ident.to_string();
            let mut module = file.module.clone();
            module.push(name.clone());
            if declared.content.is_some() {
                self.modules.insert(module);
                continue;
            }
            let test = file.test || is_test_only(&declared.attrs);
            let flat = format!("{folder}/{name}.rs");
            let nested = format!("{folder}/{name}/mod.rs");
            let owns_folder = files.contains_key(&nested);
            let path = if owns_folder { nested } else { flat };
            assert!(files.contains_key(&path), "`{}` declares `mod {name}`, but there is no `{path}`", file.path);
            children.push(Pending { path, module, test, owns_folder });
        }
        self.sources.push(Source { path: file.path, module: file.module, test: file.test, text: text.clone(), ast });
        for child in children {
            self.walk(files, reached, child);
        }
    }
}

/// A file about to be read.
struct Pending {
    path: String,
    module: Vec<String>,
    test: bool,
    /// Whether its children lie beside it (crate roots and `mod.rs`), not in a folder of its own name.
    owns_folder: bool,
}

/// Whether one of the attributes leaves the item out of everything but tests.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
    })
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Cargo makes a binary of every file right under a `tests` folder.
fn is_test_root(path: &str) -> bool {
    is_rust(path) && path.rsplit_once('/').is_some_and(|(folder, _)| folder == "tests" || folder == "steps/tests")
}

fn collect(root: &Path, folder: &str, files: &mut Files) {
    let entries = fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("`{folder}`: {error}"));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("`{folder}`: {error}"));
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap_or_else(|error| panic!("`{path}`: {error}"));
        if kind.is_dir() {
            collect(root, &path, files);
        } else if is_rust(&path) {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("`{path}`: {error}"));
            files.insert(path, text);
        }
    }
}
