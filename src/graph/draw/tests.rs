//! The pictures of one release-like formula, and of shapes that are hard to draw.

use formula_steps::contract::Undo;

use super::{Drawing, Node, Role, dot, mermaid, text};

pub(super) fn node(id: &str, kind: &str, role: Role, needs: &[usize]) -> Node {
    Node {
        id: id.into(),
        title: None,
        kind: kind.into(),
        role,
        condition: None,
        each: None,
        stand: None,
        needs: needs.to_vec(),
        finally: false,
    }
}

fn drawing(mut nodes: Vec<Node>) -> Drawing {
    super::reduce::reduce(&mut nodes);
    Drawing { name: "release".into(), description: "Cut a release".into(), max_parallel: 4, run: None, nodes }
}

fn release() -> Drawing {
    let mut nodes = vec![
        node("preflight", "preflight", Role::Looks, &[]),
        node("build", "docker-build", Role::Changes(Undo::Nothing), &[0]),
        node("approve", "approve", Role::Approve, &[1]),
        node("tag", "git-tag", Role::Changes(Undo::Reverse), &[0, 2]),
        node("mirror[codeberg]", "git-push", Role::OneWay, &[3]),
        node("mirror[github]", "git-push", Role::OneWay, &[3]),
        node("restart", "compose-restart", Role::Changes(Undo::Restore), &[0, 1, 3]),
        node("record", "write-file", Role::Changes(Undo::Restore), &[0, 4, 5, 6]),
        node("result", "write-file", Role::Changes(Undo::Restore), &[]),
    ];
    nodes[6].condition = Some("{{ vars.restart }}".into());
    nodes[6].title = Some("Bring up \"all\" services".into());
    nodes[8].finally = true;
    drawing(nodes)
}

fn plain(drawing: &Drawing) -> String {
    text(drawing, &|text, _| text.to_owned())
}

#[test]
fn a_release_as_text() {
    assert_eq!(
        plain(&release()),
        "\
release  Cut a release
9 steps, at most 4 at once

○     preflight         preflight        looks
●     build             docker-build     nothing to undo
?     approve           approve          waits for a person
●     tag               git-tag          undo: takes it away
├─┬─╮
──── past this line there is no way back ────
▲ │ │ mirror[codeberg]  git-push         cannot be undone
│ ▲ │ mirror[github]    git-push         cannot be undone
│ │ ● restart           compose-restart  undo: puts back what was there  if {{ vars.restart }}
├─┴─╯
●     record            write-file       undo: puts back what was there

finally, however the rest ended
● result  write-file  undo: puts back what was there
"
    );
}

#[test]
fn colour_is_put_around_parts_and_changes_nothing_else() {
    let painted = text(&release(), &|text, style| format!("<{style}>{text}</>"));
    let stripped = regex::Regex::new("<[0-9;]*>|</>").unwrap().replace_all(&painted, "").into_owned();
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&stripped), trimmed(&plain(&release())));
    assert!(painted.contains("<31>▲</>"), "{painted}");
}

#[test]
fn a_release_for_graphviz() {
    assert_eq!(
        dot(&release()),
        r#"digraph "release" {
  node [shape=box, style=rounded, fontname="sans-serif"];
  s0 [label="preflight\npreflight", style="rounded,dashed"];
  s1 [label="build\ndocker-build"];
  s2 [label="approve\napprove", shape=diamond, style=solid];
  s3 [label="tag\ngit-tag"];
  s4 [label="mirror[codeberg]\ngit-push", shape=octagon, style=solid, color=red];
  s5 [label="mirror[github]\ngit-push", shape=octagon, style=solid, color=red];
  s6 [label="restart\ncompose-restart", tooltip="Bring up \"all\" services"];
  s7 [label="record\nwrite-file"];
  subgraph cluster_finally {
    label="finally"; style=dashed;
    s8 [label="result\nwrite-file"];
  }
  s0 -> s1;
  s1 -> s2;
  s2 -> s3;
  s3 -> s4;
  s3 -> s5;
  s3 -> s6;
  s4 -> s7;
  s5 -> s7;
  s6 -> s7;
}
"#
    );
}

#[test]
fn a_release_for_mermaid() {
    assert_eq!(
        mermaid(&release()),
        r#"flowchart TD
  s0["preflight<br/>preflight"]:::looks
  s1["build<br/>docker-build"]
  s2{{"approve<br/>approve"}}
  s3["tag<br/>git-tag"]
  s4["mirror[codeberg]<br/>git-push"]:::oneway
  s5["mirror[github]<br/>git-push"]:::oneway
  s6["restart<br/>compose-restart"]
  s7["record<br/>write-file"]
  subgraph finally
    s8["result<br/>write-file"]
  end
  s0 --> s1
  s1 --> s2
  s2 --> s3
  s3 --> s4
  s3 --> s5
  s3 --> s6
  s4 --> s7
  s5 --> s7
  s6 --> s7
  classDef looks stroke-dasharray: 4 3
  classDef oneway stroke:#c00,stroke-width:3px
  classDef skipped color:#888,stroke:#888,stroke-dasharray: 1 3
"#
    );
}

#[test]
fn lines_cross_and_several_roots_stand_side_by_side() {
    let looks = |id: &str, needs: &[usize]| node(id, "shell", Role::Looks, needs);
    let picture = plain(&drawing(vec![
        looks("a", &[]),
        looks("b", &[0]),
        looks("c", &[]),
        looks("d", &[0]),
        looks("e", &[1, 2]),
        looks("f", &[3, 2]),
        looks("g", &[]),
        looks("h", &[4, 6]),
    ]));
    assert_eq!(
        picture.split_once("\n\n").unwrap().1,
        "\
○       a  shell  looks
├─╮
○ │     b  shell  looks
│ │ ○   c  shell  looks
│ │ ├─╮
│ ○ │ │ d  shell  looks
├─┼─╯ │
○ │   │ e  shell  looks
│ ├───╯
│ ○     f  shell  looks
│ ○     g  shell  looks
├─╯
○       h  shell  looks
"
    );
}

#[test]
fn what_is_too_wide_for_lines_is_a_list_that_names_needs() {
    let mut nodes = vec![node("first", "shell", Role::Looks, &[])];
    nodes.extend((0..30).map(|at| node(&format!("s{at}"), "shell", Role::Looks, &[0])));
    nodes.push(node("last", "shell", Role::Looks, &(1..31).collect::<Vec<_>>()));
    let picture = plain(&drawing(nodes));
    assert!(picture.contains("\n○ s29    shell  looks  after first\n"), "{picture}");
    assert!(picture.ends_with("\n○ last   shell  looks  after s0, s1, s2, s3 and 26 more\n"), "{picture}");
}

#[test]
fn a_big_graph_is_drawn_in_no_time() {
    let mut nodes = Vec::new();
    for layer in 0..50_usize {
        for at in 0..20 {
            let needs: Vec<usize> = if layer == 0 { Vec::new() } else { ((layer - 1) * 20..layer * 20).collect() };
            nodes.push(node(&format!("l{layer}-{at}"), "shell", Role::Looks, &needs));
        }
    }
    let drawing = drawing(nodes);
    assert_eq!(drawing.nodes.iter().map(|node| node.needs.len()).sum::<usize>(), 49 * 400, "nothing here is redundant");
    assert_eq!(plain(&drawing).lines().count(), 1_003);
    assert_eq!(dot(&drawing).matches("->").count(), 49 * 400);
}

#[test]
fn texts_of_a_formula_stay_texts() {
    let nodes = vec![node("x[\"]; a -> b; <script>#\\]", "shell", Role::Looks, &[])];
    let drawing = drawing(nodes);
    assert!(dot(&drawing).contains(r#"label="x[\"]; a -> b; <script>#\\]\nshell""#), "{}", dot(&drawing));
    assert!(mermaid(&drawing).contains(r#"["x[#quot;]; a -#gt; b; #lt;script#gt;#35;\]<br/>shell"]"#), "{}", mermaid(&drawing));
}
