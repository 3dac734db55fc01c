//! Leaves out needs that follow from others: `c` needs `b`, `b` needs `a`, so nobody has to be shown that `c` needs `a`.

use super::Node;

/// Above this many nodes the needs stay as they are: the sets of ancestors would take too much memory.
const MOST: usize = 8_192;

/// Takes redundant needs out of nodes of which each stands after all it needs.
pub(super) fn reduce(nodes: &mut [Node]) {
    if nodes.len() > MOST {
        return;
    }
    let words = nodes.len().div_ceil(64);
    let mut ancestors: Vec<u64> = vec![0; words * nodes.len()];
    for (at, Node { needs, .. }) in nodes.iter_mut().enumerate() {
        let (before, own) = ancestors.split_at_mut(at * words);
        let own = &mut own[..words];
        needs.dedup();
        // The nearest first: what it brings along need not be named.
        needs.sort_unstable_by(|one, other| other.cmp(one));
        needs.retain(|need| {
            let known = own[need / 64] >> (need % 64) & 1 == 1;
            if !known {
                let theirs = &before[need * words..(need + 1) * words];
                own.iter_mut().zip(theirs).for_each(|(own, theirs)| *own |= theirs);
                own[need / 64] |= 1 << (need % 64);
            }
            !known
        });
        needs.reverse();
    }
}
