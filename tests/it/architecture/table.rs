//! The import tables of `docs/architecture.md`, read as law.
//!
//! A table belongs to the crate named in the nearest heading above it. A row of a table is about a module with everything below
//! it that has no row of its own; the row `*` is about every top-level module without one. An entry stands for a path and all below it; of
//! several that fit, the longest counts, and of two equal ones the prohibition.

use std::collections::BTreeMap;

/// What may import what.
pub struct Table {
    rows: BTreeMap<Vec<String>, Row>,
    /// The row `*` of a crate.
    others: BTreeMap<String, Row>,
}

/// What one module may and must not import; paths with their crate first.
#[derive(Debug, Clone, Default)]
struct Row {
    everything: bool,
    may: Vec<Vec<String>>,
    never: Vec<Vec<String>>,
}

const CRATES: [&str; 2] = ["formula", "formula_steps"];
const HEADER: [&str; 3] = ["Module", "may import", "must never import"];

impl Table {
    /// Reads the tables of the page. `knows_crate` tells whether a name is a dependency, so that a slip of the pen is no rule.
    pub fn parse(page: &str, knows_crate: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut table = Self { rows: BTreeMap::new(), others: BTreeMap::new() };
        let cells = cells_of_tables(page);
        for (line, crate_name, [module, may, never]) in &cells {
            let modules = names(module);
            let [module] = modules.as_slice() else {
                return Err(format!("line {line}: the first column names one module, not `{module}`"));
            };
            let tops: Vec<&str> = cells.iter().filter(|row| row.1 == *crate_name).filter_map(|row| top(&row.2[0])).collect();
            let entry = |name: &String| absolute(crate_name, &tops, name, &knows_crate).map_err(|e| format!("line {line}: {e}"));
            let everything = names(may).iter().any(|name| name == "*");
            let row = Row {
                everything,
                may: names(may).iter().filter(|name| *name != "*").map(entry).collect::<Result<_, _>>()?,
                never: names(never).iter().map(entry).collect::<Result<_, _>>()?,
            };
            let known = if module == "*" {
                table.others.insert(crate_name.clone(), row).is_some()
            } else {
                table.rows.insert(joined(crate_name, module), row).is_some()
            };
            if known {
                return Err(format!("line {line}: `{module}` has two rows"));
            }
        }
        for crate_name in CRATES {
            if !table.rows.keys().any(|key| key[0] == crate_name) {
                return Err(format!("no table under a heading with `{crate_name}`"));
            }
        }
        Ok(table)
    }

    /// The module whose row holds for this path, or `None` where no row does.
    pub fn owner(&self, path: &[String]) -> Option<Vec<String>> {
        let listed = (2..=path.len()).rev().map(|length| &path[..length]).find(|key| self.rows.contains_key(*key));
        let other = path.get(..2).filter(|path| self.others.contains_key(&path[0]));
        listed.or(other).map(<[String]>::to_vec)
    }

    /// Whether code of this module may name that path.
    pub fn allows(&self, from: &[String], target: &[String]) -> bool {
        let Some(owner) = self.owner(from) else { return true };
        if self.owner(target).as_ref() == Some(&owner) {
            return true;
        }
        let row = self.rows.get(&owner).unwrap_or_else(|| &self.others[&owner[0]]);
        let longest = |entries: &[Vec<String>]| entries.iter().filter(|entry| target.starts_with(entry)).map(Vec::len).max();
        let is_ours = CRATES.contains(&target[0].as_str());
        match (longest(&row.may), longest(&row.never)) {
            (Some(may), Some(never)) => may > never,
            (None, Some(_)) => false,
            (Some(_), None) => true,
            (None, None) => row.everything || !is_ours,
        }
    }
}

/// Line, crate and the three cells of every row below a header of ours.
fn cells_of_tables(page: &str) -> Vec<(usize, String, [String; 3])> {
    let mut crate_name = None;
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with('#') {
            crate_name = names(line).into_iter().find(|name| CRATES.contains(&name.as_str()));
        }
        let cells: Vec<String> = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        match (cells.try_into(), &crate_name) {
            (Ok(cells), Some(crate_name)) if line.trim_start().starts_with('|') => {
                let cells: [String; 3] = cells;
                if cells == HEADER {
                    inside = true;
                } else if inside && !cells[0].starts_with("--") {
                    found.push((index + 1, crate_name.clone(), cells));
                }
            }
            _ => inside = false,
        }
    }
    found
}

/// The names in backticks; everything else is for the human reader.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The top-level module that a first cell is about.
fn top(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)?.split("::").next()
}

fn joined(crate_name: &str, path: &str) -> Vec<String> {
    [crate_name].into_iter().chain(path.split("::")).map(str::to_owned).collect()
}

fn absolute(crate_name: &str, tops: &[&str], name: &str, knows_crate: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let path: Vec<String> = name.split("::").map(str::to_owned).collect();
    if tops.contains(&path[0].as_str()) {
        return Ok(joined(crate_name, name));
    }
    if CRATES.contains(&path[0].as_str()) || path[0] == "std" || knows_crate(&path[0]) {
        return Ok(path);
    }
    Err(format!("`{name}` is neither a module with a row nor a crate that `Cargo.toml` knows"))
}
