//! Services that tables of the project files stand for, and what they need in the env file.

use toml::Table;

use super::kind_of_box::Agents;

/// One such table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    /// The table's name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// Its user.
    pub user: String,
    /// The user as part of a key.
    pub suffix: String,
    /// Keys that the env file must have.
    pub credentials: Vec<String>,
}

/// What a project file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Project {
    /// Tables that stand for services.
    pub agents: Vec<Agent>,
    /// Tables that have only part of what makes them one, as `file: table`.
    pub partial: Vec<String>,
}

/// Reads a project file.
///
/// # Errors
/// File, line and what is wrong.
pub(super) fn read(text: &str, file: &str, kind: &Agents) -> Result<Project, String> {
    let document: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("`{file}`{}: {}", line.map(|line| format!(" line {line}")).unwrap_or_default(), error.message().trim())
    })?;
    let mut project = Project::default();
    for (name, table) in document.get(&kind.table).and_then(|tables| tables.as_table()).into_iter().flatten() {
        let Some(table) = table.as_table() else { continue };
        let text = |key: &str| table.get(key).and_then(|value| value.as_str()).filter(|value| !value.is_empty());
        let set = kind.when.iter().filter(|key| text(key).is_some()).count();
        if set < kind.when.len() {
            if set > 0 {
                project.partial.push(format!("`[{}.{name}]` in `{file}`", kind.table));
            }
            continue;
        }
        let user = text(&kind.user).map_or_else(|| kind.default_user.replace("{name}", name), str::to_owned);
        let suffix = suffix(&user);
        let credentials = kind.credentials.iter().map(|key| key.replace("{suffix}", &suffix)).collect();
        project.agents.push(Agent { name: name.clone(), file: file.to_owned(), user, suffix, credentials });
    }
    Ok(project)
}

/// A user as part of a key: in capitals, `-` as `_`.
fn suffix(user: &str) -> String {
    user.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_without_what_makes_them_a_service_are_passed_over() {
        let kind = Agents {
            table: "agents".into(),
            when: vec!["base_url".into(), "model".into()],
            user: "forge_user".into(),
            default_user: "{name}-bot".into(),
            credentials: vec!["T_{suffix}".into()],
        };
        let text = "[agents.schedule]\nevery = 1\n[agents.half]\nmodel = 'm'\n[agents.a]\nbase_url = 'u'\nmodel = 'm'\n\
                    [agents.b]\nbase_url = 'u'\nmodel = 'm'\nforge_user = 'dev-qwen'\n";
        let project = read(text, "p.toml", &kind).unwrap();
        let seen: Vec<_> =
            project.agents.iter().map(|agent| (agent.name.as_str(), agent.user.as_str(), agent.credentials[0].as_str())).collect();
        assert_eq!(seen, [("a", "a-bot", "T_A_BOT"), ("b", "dev-qwen", "T_DEV_QWEN")]);
        assert_eq!(project.partial, ["`[agents.half]` in `p.toml`"]);
        assert_eq!(read("a = 1\nb = \n", "p.toml", &kind).unwrap_err().split(':').next(), Some("`p.toml` line 2"));
    }
}
