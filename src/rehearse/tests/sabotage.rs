//! Kinds that lie: the rehearsal fails, and names step and boundary.

use std::path::Path;

use formula_steps::contract::{Behaviour, Context, Effect, Probe, Repeat, Step, StepError, StepMeta, StepType, Undo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Judgement, Options};
use super::{bad, only, try_with};

const HONEST: u8 = 0;
/// Its probe takes half of the effect for all of it.
const HALF: u8 = 1;
/// Its undo forgets half of the effect.
const FORGETS: u8 = 2;
/// Its probe never sees the effect, and running it again adds to it.
const BLIND: u8 = 3;

/// Writes two files below `name`.
struct Pair<const LIE: u8>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Params {
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Before {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Output {}

async fn text(cx: &Context, path: &str) -> Result<String, StepError> {
    let file = cx.world.files.read(&cx.workdir, Path::new(path)).await?;
    Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default())
}

impl<const LIE: u8> Step for Pair<LIE> {
    type Params = Params;
    type Before = Before;
    type Output = Output;

    const META: StepMeta = StepMeta {
        kind: match LIE {
            HONEST => "honest",
            HALF => "half-probe",
            FORGETS => "forgetful-undo",
            _ => "blind-probe",
        },
        version: 1,
        summary: "Writes two files",
        example: "",
        behaviour: Behaviour { effect: Effect::Reversible, repeat: Repeat::Safe, undo: Undo::Restore, probes: true },
    };

    async fn probe(&self, cx: &Context, params: &Params) -> Result<Probe<Before, Output>, StepError> {
        let one = !text(cx, &format!("{}/one", params.name)).await?.is_empty();
        let two = !text(cx, &format!("{}/two", params.name)).await?.is_empty();
        let there = match LIE {
            HALF => one,
            BLIND => false,
            _ => one && two,
        };
        Ok(if there { Probe::Present { output: Output {} } } else { Probe::would(Before {}, "write two files") })
    }

    async fn run(&self, cx: &Context, params: &Params, _before: Option<&Before>) -> Result<Output, StepError> {
        for file in ["one", "two"] {
            let path = format!("{}/{file}", params.name);
            let old = if LIE == BLIND { text(cx, &path).await? } else { String::new() };
            cx.world.files.write(&cx.workdir, Path::new(&path), format!("{old}{file}\n").as_bytes(), 0o644, false).await?;
        }
        Ok(Output {})
    }

    async fn undo(&self, cx: &Context, params: &Params, _: Option<&Before>, _: Option<&Output>) -> Result<(), StepError> {
        for file in ["one", "two"].into_iter().take(if LIE == FORGETS { 1 } else { 2 }) {
            cx.world.files.remove(&cx.workdir, Path::new(&format!("{}/{file}", params.name))).await?;
        }
        Ok(())
    }
}

static KINDS: &[&dyn StepType] = &[&Pair::<HONEST>, &Pair::<HALF>, &Pair::<FORGETS>, &Pair::<BLIND>];

fn formula(middle: &str) -> String {
    let step = |id: &str, uses: &str| format!("[[steps]]\nid = \"{id}\"\nuses = \"{uses}\"\nwith = {{ name = \"{id}\" }}\n\n");
    format!("name = \"sample\"\n\n{}{}{}", step("first", "honest"), step("middle", middle), step("last", "honest"))
}

#[test]
fn honest_kinds_converge_at_every_boundary() {
    let case = only(try_with(KINDS, &formula("honest"), None, &Options::default()));
    assert_eq!(bad(&case), []);
    // Three steps: before, within, after, recorded, and the same of their undo, both ways.
    assert_eq!(case.schedules.len(), 3 * 8 * 2);
    assert!(case.is_sound(), "{:?} {:?}", case.unmet, case.again);
}

#[test]
fn a_probe_that_takes_half_for_all_is_found_out() {
    let case = only(try_with(KINDS, &formula("half-probe"), None, &Options::default()));
    assert_eq!(bad(&case), [("middle:during-effect-1:resume".to_owned(), "DIVERGES")]);
    let Judgement::Diverges { differences } = &case.first_diverging().unwrap().judgement else { panic!("{case:?}") };
    assert_eq!(differences[0].field, "files > /box/middle/two");
    assert_eq!(differences[0].found, "nothing");
}

#[test]
fn an_undo_that_forgets_is_found_out() {
    let case = only(try_with(KINDS, &formula("forgetful-undo"), None, &Options::default()));
    let first = case.first_diverging().unwrap();
    assert_eq!(first.schedule.to_string(), "first:before-undo:resume", "the whole way back leads past it");
    let Judgement::Diverges { differences } = &first.judgement else { panic!("{first:?}") };
    assert_eq!(differences[0].field, "files > /box/middle/two");
    let own: Vec<_> = bad(&case).into_iter().filter(|(schedule, _)| schedule.starts_with("middle:")).collect();
    assert_eq!(own[0].0, "middle:after-effect:rollback", "{own:?}");
}

#[test]
fn a_probe_that_sees_nothing_is_found_out() {
    let case = only(try_with(KINDS, &formula("blind-probe"), None, &Options::default()));
    let bad = bad(&case);
    assert_eq!(bad[0].0, "middle:during-effect-1:resume");
    assert!(bad.iter().any(|(schedule, _)| schedule == "middle:after-effect:resume"), "{bad:?}");
    let again = case.again.as_ref().unwrap();
    assert!(!again.is_sound());
    assert_eq!(again.acts, ["middle"]);
    assert_eq!(again.moved.as_ref().unwrap().0, "middle");
}

#[test]
fn one_schedule_alone_is_played_again() {
    let schedule = "middle:during-effect-1:resume".parse().unwrap();
    let case = only(try_with(KINDS, &formula("half-probe"), None, &Options { schedule: Some(schedule), ..Options::default() }));
    assert_eq!(case.schedules.len(), 1);
    assert_eq!(case.schedules[0].judgement.word(), "DIVERGES");
    let never = "middle:during-effect-7:resume".parse().unwrap();
    let case = only(try_with(KINDS, &formula("honest"), None, &Options { schedule: Some(never), ..Options::default() }));
    assert!(case.unmet[0].contains("never comes to `middle:during-effect-7`"), "{:?}", case.unmet);
}
