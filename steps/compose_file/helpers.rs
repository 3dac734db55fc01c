//! The helpers of templates. None of them touches the world.

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason, ScopedJson};
use serde_json::{Number, Value};

use super::fill::Shared;
use super::keys::{closing, name_end};
use super::{Note, NoteLevel};

/// For the message about a helper that is not there.
pub(super) const NAMES: &str = "helpers are `yaml`, `json`, `slug`, `env_suffix`, `runtime`, `required`, `join`, `concat`, `default`, \
    `largest`, `eq`, `ne`, `and`, `or`, `not`, `origin`, `unique`, `note`, `warn`, `fail`";

/// Arguments of a helper: None for what is not there.
type Args<'a> = [Option<&'a Value>];

type Work = fn(&Shared, &Args<'_>) -> Result<Value, String>;

/// Name, fewest and most arguments, how many of them must be there, and what it does.
#[rustfmt::skip]
const HELPERS: &[(&str, usize, usize, usize, Work)] = &[
    ("yaml", 1, 1, 1, |_, args| Ok(quoted(&plain(args, 0)?).into())),
    ("json", 1, 1, 1, |_, args| Ok(printable(&escaped(&args[0].unwrap_or(&Value::Null).to_string())).into())),
    ("slug", 1, 1, 1, |_, args| slug(&plain(args, 0)?).map(Value::from)),
    ("env_suffix", 1, 1, 1, |_, args| env_suffix(&plain(args, 0)?).map(Value::from)),
    ("runtime", 1, 2, 2, |_, args| runtime(args)),
    ("required", 1, 2, 2, |_, args| required(args)),
    ("join", 2, 2, 2, |_, args| join(args)),
    ("concat", 1, 20, 20, |_, args| (0..args.len()).map(|at| plain(args, at)).collect::<Result<String, _>>().map(Value::from)),
    ("default", 2, 2, 0, |_, args| Ok(args[0].filter(|value| !value.is_null()).or(args[1]).cloned().unwrap_or(Value::Null))),
    ("largest", 2, 2, 2, |_, args| largest(args)),
    ("eq", 2, 2, 0, |_, args| Ok(same(args[0], args[1]).into())),
    ("ne", 2, 2, 0, |_, args| Ok((!same(args[0], args[1])).into())),
    ("and", 1, 20, 0, |_, args| Ok(args.iter().find(|arg| !truthy(**arg)).or(args.last()).copied().flatten().cloned().unwrap_or(Value::Null))),
    ("or", 1, 20, 0, |_, args| Ok(args.iter().find(|arg| truthy(**arg)).or(args.last()).copied().flatten().cloned().unwrap_or(Value::Null))),
    ("not", 1, 1, 0, |_, args| Ok((!truthy(args[0])).into())),
    ("origin", 2, 2, 2, origin),
    ("unique", 4, 4, 4, unique),
    ("note", 1, 3, 3, |shared, args| note(shared, args, NoteLevel::Info)),
    ("warn", 1, 3, 3, |shared, args| note(shared, args, NoteLevel::Warning)),
    ("fail", 1, 1, 1, |_, args| Err(plain(args, 0)?)),
];

/// What stands before file and table in the comment that `origin` makes.
pub(super) const ORIGIN: &str = "# origin: ";

pub(super) fn register(engine: &mut Handlebars<'_>, shared: &Shared) {
    for &(name, fewest, most, given, work) in HELPERS {
        engine.register_helper(name, Box::new(OneHelper { name, fewest, most, given, work, shared: shared.clone() }));
    }
}

struct OneHelper {
    name: &'static str,
    fewest: usize,
    most: usize,
    given: usize,
    work: Work,
    shared: Shared,
}

impl HelperDef for OneHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let params = helper.params();
        if params.len() < self.fewest || params.len() > self.most || !helper.hash().is_empty() {
            let takes = if self.fewest == self.most { self.fewest.to_string() } else { format!("{} to {}", self.fewest, self.most) };
            return Err(other(format!("`{}` takes {takes} arguments without names, it has {}", self.name, params.len())));
        }
        if let Some(missing) = params.iter().take(self.given).find(|param| param.is_value_missing()) {
            return Err(RenderErrorReason::MissingVariable(missing.relative_path().cloned()).into());
        }
        let args: Vec<Option<&Value>> = params.iter().map(|param| (!param.is_value_missing()).then(|| param.value())).collect();
        (self.work)(&self.shared, &args).map(ScopedJson::Derived).map_err(other)
    }
}

fn other(message: String) -> RenderError {
    RenderErrorReason::Other(message).into()
}

/// A scalar as text.
fn plain(args: &Args<'_>, at: usize) -> Result<String, String> {
    match args.get(at).copied().flatten() {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        Some(Value::Null) | None => Err("a value is needed, and there is none".to_owned()),
        Some(other) => Err(format!("a text, a number or a truth value is needed, not `{other}`")),
    }
}

fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(table)) => !table.is_empty(),
    }
}

/// Equal; what is not there equals null alone.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null)) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// Every `$` twice, so that compose takes it as it is.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// A scalar of YAML in double quotes that compose does not fill in.
fn quoted(text: &str) -> String {
    // A text in JSON is one in YAML.
    printable(&Value::from(escaped(text)).to_string())
}

/// JSON in which characters are escaped that YAML does not take as they are. They can only stand within texts.
fn printable(json: &str) -> String {
    use std::fmt::Write as _;
    let mut printable = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            write!(printable, "\\u{:04x}", u32::from(c)).expect("a string takes everything");
        } else {
            printable.push(c);
        }
    }
    printable
}

fn slug(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    let slug: String = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    if slug.chars().any(|c| c != '-') { Ok(slug) } else { Err(format!("`{text}` has no letter or digit to make a name of")) }
}

fn env_suffix(text: &str) -> Result<String, String> {
    let suffix: String = text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect();
    let sound = suffix.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if sound && suffix.starts_with(|c: char| !c.is_ascii_digit()) {
        return Ok(suffix);
    }
    Err(format!("`{text}` gives `{suffix}`, which cannot end the name of a variable: use letters, digits, `-` and `_`, a letter first"))
}

fn key(args: &Args<'_>) -> Result<String, String> {
    let key = plain(args, 0)?;
    if key.is_empty() || name_end(&key) != key.len() { Err(format!("`{key}` is not a name for a variable")) } else { Ok(key) }
}

fn runtime(args: &Args<'_>) -> Result<Value, String> {
    let default = if args.len() > 1 { plain(args, 1)? } else { String::new() };
    Ok(format!("${{{}:-{}}}", key(args)?, within_braces(&default)?).into())
}

fn required(args: &Args<'_>) -> Result<Value, String> {
    let key = key(args)?;
    let message = if args.len() > 1 { plain(args, 1)? } else { format!("set {key} in .env") };
    Ok(format!("${{{key}:?{}}}", within_braces(&message)?).into())
}

/// A text as it may stand within `${…}`, in a scalar with or without quotes. Other `${…}` in it stay, every other `$` is doubled.
fn within_braces(text: &str) -> Result<String, String> {
    let unfit = text.contains(['"', '\\', '\n', '\r', '\t']) || text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let refused =
        || format!("`{text}` cannot stand within `${{…}}`: write it without quotes, backslashes, line ends, `: `, ` #` or a lone brace");
    if unfit {
        return Err(refused());
    }
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['$', '{', '}']) {
        kept.push_str(&rest[..at]);
        let found = &rest[at..];
        if let Some(inner) = found.strip_prefix("${") {
            let end = closing(inner).ok_or_else(refused)?;
            kept.push_str(&found[..end + 3]);
            rest = &found[end + 3..];
        } else if let Some(after) = found.strip_prefix('$') {
            kept.push_str("$$");
            rest = after;
        } else {
            return Err(refused());
        }
    }
    kept.push_str(rest);
    Ok(kept)
}

/// The items of a list, or the words of a text, with `separator` between them.
fn join(args: &Args<'_>) -> Result<Value, String> {
    let separator = plain(args, 1)?;
    let items: Vec<String> = match args[0] {
        Some(Value::Array(items)) => items.iter().map(|item| plain(&[Some(item)], 0)).collect::<Result<_, _>>()?,
        _ => plain(args, 0)?.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect(),
    };
    Ok(items.join(&separator).into())
}

/// The largest number other than 0 at a dotted path in the items of a list; texts of digits count. Empty where there is none.
fn largest(args: &Args<'_>) -> Result<Value, String> {
    let path = plain(args, 1)?;
    let Some(Value::Array(items)) = args[0] else { return Err("`largest` looks through a list".to_owned()) };
    let mut found: Option<u64> = None;
    for item in items {
        let number = match path.split('.').try_fold(item, |at, name| at.get(name)) {
            None | Some(Value::Null) => continue,
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) if text.is_empty() => continue,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let file = item["_file"].as_str().unwrap_or("an item of the list");
        let number = number.ok_or_else(|| format!("`{path}` in `{file}` is not a whole number"))?;
        found = found.max(Some(number).filter(|number| *number > 0));
    }
    Ok(found.map_or_else(|| "".into(), |number| Value::Number(Number::from(number))))
}

/// A comment that names file and table.
fn origin(shared: &Shared, args: &Args<'_>) -> Result<Value, String> {
    let origin = shared.named(&plain(args, 0)?, &plain(args, 1)?);
    Ok(format!("{ORIGIN}{} [{}]", origin.file, origin.table).replace(char::is_control, "?").into())
}

fn unique(shared: &Shared, args: &Args<'_>) -> Result<Value, String> {
    let (group, value) = (plain(args, 0)?, plain(args, 1)?);
    let origin = shared.named(&plain(args, 2)?, &plain(args, 3)?);
    if let Some(first) = shared.state().unique.insert((group.clone(), value.clone()), origin.clone()) {
        return Err(format!("{group} `{value}` is used twice: by {first} and by {origin}; change one of the two"));
    }
    Ok("".into())
}

/// `note TEXT` or `note FILE TABLE TEXT`.
fn note(shared: &Shared, args: &Args<'_>, level: NoteLevel) -> Result<Value, String> {
    let origin = match args.len() {
        1 => None,
        3 => Some(shared.named(&plain(args, 0)?, &plain(args, 1)?)),
        _ => return Err("a note takes a text, or file, table and text".to_owned()),
    };
    let text = plain(args, args.len() - 1)?;
    shared.state().notes.push(Note { level, text, origin });
    Ok("".into())
}
