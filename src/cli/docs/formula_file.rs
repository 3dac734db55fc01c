//! What a formula file may hold, from the schema that editors get and the tables that the checks read.

use std::fmt::Write as _;

use serde_json::Value;

use super::cell;
use crate::editor::{HELPERS, RUN};
use crate::syntax::schema::{describe, resolve};
use crate::syntax::{Builtin, MOST_STEPS, file_schema};

/// The types of vars, with the form of a value.
const TYPES: [(&str, &str); 14] = [
    ("string", "any text"),
    ("int", "a whole number"),
    ("bool", "`true` or `false`; its flag is a switch"),
    ("enum", "one of `choices`"),
    ("path", "a path that does not begin with `-`"),
    ("duration", "`90s`, `5m`, `1h30m`; units are `ms s m h d`"),
    ("url", "`https://host/path`, or with `http`"),
    ("host-port", "`host:8080`"),
    ("git-ref", "a name that git allows for a ref, such as `main` or `v1.2.3`"),
    ("image-ref", "an image, such as `registry.example/app:1.2`"),
    ("version", "a semantic version with or without `v`: `v1.2.3`"),
    ("list", "a list of texts; the flag may be given several times"),
    ("table", "a table of texts"),
    ("secret-name", "the name of a secret that the file declares"),
];

/// What stands before the tables.
const INTRO: &str = "# The formula file\n\n\
    A TOML file `NAME.toml`. [How to write one](../guide/write-a-formula.md) begins from nothing; this page has every key. `formula schema` prints the same\n\
    as JSON Schema, `formula check NAME` holds a file against it, and `formula explain CODE` tells of a problem at length.\n\n\
    ## Where it is looked for\n\n\
    What ends in `.toml` or holds a `/` is a path. A name is looked for in `./formulas`, then in each folder of `FORMULA_PATH` (separated by `:`), then in\n\
    `$XDG_CONFIG_HOME/formula/formulas` (`~/.config/formula/formulas`), then among those that come with the program. The first wins; `formula list`\n\
    shows which one that is, and what it hides.\n";

/// What stands after the table of vars.
const PRECEDENCE: &str = "\nA value is taken from the first of these that has it: the flag (`--version v1.2.3`), `--set version=v1.2.3`, `--vars FILE` (a TOML table), the variable\n\
    `FORMULA_VAR_VERSION` (upper case, `-` as `_`), `default`. The empty text passes wherever a text is wanted and the var is not `required`: nothing is given.\n";

/// What stands before the tables of templates.
const TEMPLATES: &str = "\n## Templates\n\n\
    `{{ … }}` in a text. A text that is nothing but one template keeps the type of its value. Every name is looked up by `formula check`; a reference to a\n\
    step is a need as well.\n\n\
    | Name | Is |\n|---|---|\n\
    | `vars.NAME` | the value of a var |\n\
    | `steps.ID.outputs.NAME` | an output of a step; `formula steps KIND` lists them |\n\
    | `item` | the item, in a step with `foreach` |\n\
    | `env.NAME` | a variable of the environment that `[env]` declares |\n";

/// What stands at the end.
const REST: &str = "\n## Prose\n\n\
    A formula whose steps have no `uses` is a text for people or other tools. It can be checked and shown, and `formula run` refuses it. The keys `model`,\n\
    `tools`, `context`, `allowed_tools`, `disallowed_commands`, `stack_script`, `timeout_minutes` and `project` are kept for such tools.\n\n\
    ## Limits\n\n";

/// The page.
pub(super) fn page() -> String {
    let schema = file_schema(&Builtin::default());
    let mut page = String::from(INTRO);
    page.push_str("\n## The file\n\n");
    page.push_str(&table(&schema, &schema));
    page.push_str("\n## `[vars.NAME]`\n\n");
    page.push_str(&table(&schema, &schema["$defs"]["var"]));
    page.push_str("\n| Type | A value |\n|---|---|\n");
    for (name, form) in TYPES {
        let _ = writeln!(page, "| `{name}` | {form} |");
    }
    page.push_str(PRECEDENCE);
    page.push_str("\n## `[secrets.NAME]`\n\n");
    page.push_str(&table(&schema, &schema["$defs"]["secret"]));
    page.push_str("\n## `[env]`\n\n`NAME = \"default\"`, or a table:\n\n");
    page.push_str(&table(&schema, &schema["$defs"]["env"]["anyOf"][1]));
    page.push_str("\n## `[[steps]]` and `[[finally]]`\n\nWhat `with` takes is the kind's: [kinds of steps](steps/README.md).\n\n");
    page.push_str(&table(&schema, &schema["$defs"]["step"]));
    page.push_str(TEMPLATES);
    for (name, what) in RUN {
        let _ = writeln!(page, "| `run.{name}` | {} |", cell(what));
    }
    page.push_str("\n| Helper | Gives |\n|---|---|\n");
    for (_, usage, gives) in HELPERS {
        let _ = writeln!(page, "| `{{{{ {usage} }}}}` | {} |", cell(gives));
    }
    page.push_str(REST);
    let _ = writeln!(
        page,
        "A file has no more than {MOST_STEPS} steps, and so has a plan once `foreach` and formulas within formulas are written out. How much a file may hold\n\
         beside grows with its steps: [F0105](diagnostics.md#f0105)."
    );
    page
}

/// The keys of a table of the schema.
fn table(root: &Value, of: &Value) -> String {
    let mut rows = String::from("| Key | Takes | Default | What |\n|---|---|---|---|\n");
    let required = |name: &str| of["required"].as_array().is_some_and(|list| list.iter().any(|one| one == name));
    for (name, key) in of["properties"].as_object().into_iter().flatten() {
        let doc = [key, resolve(root, key)].into_iter().find_map(|schema| schema["description"].as_str()).unwrap_or_default();
        // Of the kinds there is a page of their own.
        let doc = doc.split("\n\n").next().unwrap_or_default();
        let takes = if name == "uses" { "the name of a kind".to_owned() } else { describe(root, key) };
        let default = match key.get("default") {
            Some(default) => format!("`{default}`"),
            None if required(name) => "needed".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(rows, "| `{name}` | {} | {} | {} |", cell(&takes), cell(&default), cell(doc));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{TYPES, page};
    use crate::syntax::{Builtin, file_schema};

    #[test]
    fn every_type_of_a_var_and_every_key_is_told() {
        let schema = file_schema(&Builtin::default());
        let types: Vec<&str> =
            schema["$defs"]["var"]["properties"]["type"]["enum"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(TYPES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), types);
        let page = page();
        for table in [&schema, &schema["$defs"]["step"], &schema["$defs"]["secret"]] {
            for key in table["properties"].as_object().unwrap().keys() {
                assert!(page.contains(&format!("\n| `{key}` |")), "{key}");
            }
        }
        for helper in crate::template::HELPERS {
            assert!(page.contains(&format!("\n| `{{{{ {helper} ")), "{helper}");
        }
    }
}
