//! The formulas that come with the program, as text within it.

/// Name and text of each, by name.
#[rustfmt::skip]
pub static SHIPPED: &[(&str, &str)] = &[
    ("agents", include_str!("../../formulas/agents.toml")),
    ("bootstrap", include_str!("../../formulas/bootstrap.toml")),
    ("hello", include_str!("../../formulas/hello.toml")),
    ("release", include_str!("../../formulas/release.toml")),
    ("rollback-to", include_str!("../../formulas/rollback-to.toml")),
    ("upgrade", include_str!("../../formulas/upgrade.toml")),
];

/// The test file of each, by name.
#[rustfmt::skip]
pub static SHIPPED_TESTS: &[(&str, &str)] = &[
    ("agents", include_str!("../../formulas/tests/agents.test.toml")),
    ("bootstrap", include_str!("../../formulas/tests/bootstrap.test.toml")),
    ("hello", include_str!("../../formulas/tests/hello.test.toml")),
    ("release", include_str!("../../formulas/tests/release.test.toml")),
    ("rollback-to", include_str!("../../formulas/tests/rollback-to.test.toml")),
    ("upgrade", include_str!("../../formulas/tests/upgrade.test.toml")),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_in_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("formulas");
        let mut names: Vec<String> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }
}
