//! The crash matrix: small formulas, cut off at every point of every way they can take, once and twice, then resumed or rolled back, and
//! compared with what they would have left uninterrupted.

mod explore;
mod formula;
mod laws;
mod matrix;
mod mend;
mod person;
mod random;
mod sim;
mod verdicts;
mod world;
