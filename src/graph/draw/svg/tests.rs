//! Pictures are well-formed, nothing in them overlaps, and no text leaves its place.

use formula_steps::contract::Undo;
use proptest::prelude::*;

use super::super::{Drawing, Mark, Node, Role, Stand, reduce};
use super::layout::{Layout, Point, Rect, TALL};
use super::{MOST, TooBig, card, svg};
use crate::syntax::Kinds as _;

fn node(id: &str, role: Role, needs: &[usize]) -> Node {
    super::super::tests::node(id, "shell", role, needs)
}

fn drawing(mut nodes: Vec<Node>) -> Drawing {
    reduce::reduce(&mut nodes);
    Drawing { name: "n".into(), description: "d".into(), max_parallel: 4, run: None, nodes }
}

/// Formulas that come with the program, and how wide and tall their pictures are.
fn shipped() -> Vec<Drawing> {
    let kinds = crate::syntax::Builtin::default();
    crate::catalog::SHIPPED
        .iter()
        .map(|(name, text)| {
            let source = crate::diagnostic::SourceFile::new(format!("{name}.toml"), *text);
            let formula = crate::syntax::parse(&source, &kinds, crate::syntax::Options::default()).formula.expect(name);
            Drawing::of_formula(&formula, &|kind, with| kinds.behaviour(kind, with))
        })
        .collect()
}

fn apart(one: &Rect, other: &Rect) -> bool {
    one.x + one.wide <= other.x || other.x + other.wide <= one.x || one.y + one.tall <= other.y || other.y + other.tall <= one.y
}

/// What must hold of any picture.
fn holds(drawing: &Drawing) -> Result<(), String> {
    let layout = Layout::new(drawing, card::wide(&drawing.nodes));
    for (at, one) in layout.boxes.iter().enumerate() {
        if one.x < -0.1 || one.y < -0.1 || one.x + one.wide > layout.wide + 0.1 || one.y + one.tall > layout.tall + 0.1 {
            return Err(format!("box {at} leaves the picture: {one:?} in {} x {}", layout.wide, layout.tall));
        }
        if let Some(other) = layout.boxes[..at].iter().position(|other| !apart(one, other)) {
            return Err(format!("boxes {at} and {other} overlap: {one:?} {:?}", layout.boxes[other]));
        }
    }
    for line in &layout.lines {
        if !line.turns && layout.boxes[line.from].y + TALL > layout.boxes[line.to].y {
            return Err(format!("a line runs upwards: {line:?}"));
        }
        // A bend lies within the rows' gap; what is straight may not touch a box in between.
        for pair in line.points.windows(2).filter(|pair| line.turns || (pair[0].x - pair[1].x).abs() < 0.1) {
            let (a, b) = (pair[0], pair[1]);
            let way = Rect { x: a.x.min(b.x), y: a.y.min(b.y) + 0.1, wide: (a.x - b.x).abs(), tall: ((a.y - b.y).abs() - 0.2).max(0.0) };
            if let Some(at) = layout.boxes.iter().position(|one| !apart(one, &way)) {
                return Err(format!("the line {} → {} runs through box {at}", line.from, line.to));
            }
        }
    }
    if let Some((Point { x, y }, right)) = layout.no_return {
        for (at, one) in layout.boxes.iter().enumerate() {
            let past = layout.past.iter().any(|past| !apart(past, one));
            if drawing.nodes[at].role == Role::OneWay && !past {
                return Err(format!("box {at} cannot be undone, but stands before the line"));
            }
            if !apart(&Rect { x, y, wide: right - x, tall: 0.1 }, one) {
                return Err(format!("the line of no return runs through box {at}"));
            }
        }
    }
    let picture = svg(drawing).map_err(|error| error.to_string())?;
    roxmltree::Document::parse(&picture).map_err(|error| error.to_string())?;
    Ok(())
}

#[test]
fn nothing_overlaps_in_the_pictures_of_what_is_shipped() {
    for drawing in shipped() {
        assert_eq!(holds(&drawing), Ok(()), "{}", drawing.name);
        assert_eq!(svg(&drawing), svg(&drawing), "the same formula gives the same picture");
    }
}

#[test]
fn shapes_that_are_hard_to_draw() {
    let looks = |id: usize, needs: &[usize]| node(&format!("s{id}"), Role::Looks, needs);
    let fan: Vec<Node> = (0..12).map(|id| looks(id, &[0][..usize::from(id > 0)])).collect();
    let mut cut: Vec<Node> = (0..20).map(|id| looks(id, &[id.max(1) - 1][..usize::from(id > 0)])).collect();
    cut[13].role = Role::OneWay;
    cut[18].finally = true;
    cut[18].needs.clear();
    cut[19].finally = true;
    cut[19].needs.clear();
    let first = vec![node("a", Role::OneWay, &[])];
    let apart = (0..5).map(|id| looks(id, &[])).collect();
    for nodes in [Vec::new(), first, apart, fan, cut] {
        let drawing = drawing(nodes);
        assert_eq!(holds(&drawing), Ok(()), "{drawing:?}");
    }
}

#[test]
fn every_state_every_role_and_every_text_is_there_in_words() {
    let roles = [Role::Looks, Role::Changes(Undo::Restore), Role::Approve, Role::Formula, Role::Skipped, Role::Prose, Role::OneWay];
    let mut nodes: Vec<Node> =
        roles.iter().enumerate().map(|(at, role)| node(&format!("s{at}"), *role, &[at.max(1) - 1][..usize::from(at > 0)])).collect();
    nodes[1].stand = Some(Stand { mark: Mark::Good, state: "done".into(), took: Some("1.2 s".into()) });
    nodes[6].stand = Some(Stand { mark: Mark::Person, state: "held".into(), took: None });
    nodes[2].condition = Some("{{ vars.gate }}".into());
    nodes[3].each = Some("{{ vars.mirrors }}".into());
    nodes[4].title = Some("<b>&\"'</b>]]>\u{202e}\u{1} a title that goes on and on until there is no room for it left at all".into());
    let drawing = drawing(nodes);
    let picture = svg(&drawing).unwrap();
    let read = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<&str> = read.descendants().filter(|one| one.has_tag_name("text")).filter_map(|one| one.text()).collect();
    for wanted in [
        "✓ done 1.2 s",
        "! held",
        "if vars.gate",
        "each of vars.mirrors",
        "past this line there is no way back",
        "cannot be undone",
        "s0",
        "looks",
    ] {
        assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
    }
    assert!(texts.iter().any(|text| text.starts_with("<b>&\"'</b>]]>") && text.ends_with('…')), "{texts:?}");
    assert!(read.descendants().all(|one| !["script", "image", "foreignObject", "use"].contains(&one.tag_name().name())));
    assert!(!picture.contains("href") && !picture.contains("@import"), "nothing is fetched");
    assert!(picture.contains("prefers-color-scheme:dark"));
}

#[test]
fn too_much_is_refused_and_what_is_not_takes_no_time() {
    let many = |count: usize| {
        drawing((0..count).map(|at| node(&format!("s{at}"), Role::Looks, &[at.max(1) - 1][..usize::from(at > 0)])).collect())
    };
    assert_eq!(svg(&many(MOST + 1)), Err(TooBig));
    assert_eq!(holds(&many(200)), Ok(()));
    // One line beside each of the others.
    let mut nodes = many(300).nodes;
    nodes.push(node("last", Role::Looks, &(0..300).collect::<Vec<_>>()));
    assert_eq!(svg(&Drawing { nodes, ..drawing(Vec::new()) }), Err(TooBig));
}

#[test]
fn the_style_sheet_stands_in_xml_as_it_is() {
    assert!(!super::STYLE.contains(['<', '&']));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn nothing_overlaps_whatever_the_shape(
        count in 1_usize..16,
        edges in prop::collection::vec((0_usize..16, 0_usize..16), 0..30),
        one_way in 0_usize..24,
        finally in 0_usize..3,
    ) {
        let mut nodes: Vec<Node> = (0..count).map(|at| node(&format!("s{at}"), Role::Looks, &[])).collect();
        let first_finally = count.saturating_sub(finally);
        for (before, after) in edges.into_iter().map(|(a, b)| (a % count, b % count)).filter(|(a, b)| a < b) {
            if after < first_finally || before >= first_finally {
                nodes[after].needs.push(before);
            }
        }
        nodes.iter_mut().skip(first_finally).for_each(|node| node.finally = true);
        if let Some(node) = nodes.get_mut(one_way) {
            node.role = Role::OneWay;
        }
        let drawing = drawing(nodes);
        prop_assert_eq!(holds(&drawing), Ok(()));
    }
}
