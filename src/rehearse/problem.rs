//! Problems of reading a test file, with their places.

use toml::de::Error;

use super::file::TestFile;
use crate::diagnostic::{Diagnostic, SourceFile, codes, nearest};

/// The `[test]` table of a formula; everything else of it is not looked at.
#[derive(serde::Deserialize)]
struct Outer {
    test: Option<TestFile>,
}

/// Reads a file of its own.
pub(super) fn read(source: &SourceFile) -> Result<TestFile, Box<Diagnostic>> {
    crate::syntax::sized(source)?;
    toml::from_str::<TestFile>(&source.text).map_err(|error| Box::new(problem(&error))).and_then(sound)
}

/// Reads what stands in the formula.
pub(super) fn read_inner(formula: &SourceFile) -> Result<Option<TestFile>, Box<Diagnostic>> {
    let outer = toml::from_str::<Outer>(&formula.text).map_err(|error| Box::new(problem(&error)))?;
    outer.test.map(sound).transpose()
}

fn sound(file: TestFile) -> Result<TestFile, Box<Diagnostic>> {
    if let Some(name) = &file.name {
        return Err(Box::new(Diagnostic::error(codes::TEST_FILE, "`name` belongs to a `[[case]]`").at(name.span(), "")));
    }
    let inner = file.case.iter().find(|case| !case.case.is_empty());
    if inner.is_some() {
        return Err(Box::new(Diagnostic::error(codes::TEST_FILE, "a `[[case]]` has no cases of its own")));
    }
    if file.case.iter().any(|case| case.name.is_none()) {
        let problem = Diagnostic::error(codes::TEST_FILE, "a `[[case]]` has no `name`");
        return Err(Box::new(problem.help("name = \"what is special about it\"")));
    }
    Ok(file)
}

fn problem(error: &Error) -> Diagnostic {
    let message = error.message().replace('\n', " ");
    let place = |problem: Diagnostic, label: &str| match error.span() {
        Some(range) => problem.at(range, label),
        None => problem,
    };
    let Some(unknown) = message.strip_prefix("unknown field `") else {
        return place(Diagnostic::error(codes::TEST_FILE, message), "");
    };
    let mut names = unknown.split('`');
    let name = names.next().unwrap_or_default();
    let known: Vec<&str> = names.skip(1).step_by(2).collect();
    let problem = place(Diagnostic::error(codes::TEST_FILE, format!("unknown key `{name}`")), "no such key");
    problem.help(match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("here stand {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
    })
}
