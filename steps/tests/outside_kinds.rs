//! The kinds that work on engines, registries, web servers and compose projects, case by case on the fake world. What every kind
//! must do is in `laws.rs`; here is what makes each of them the kind it is.

mod outside;
