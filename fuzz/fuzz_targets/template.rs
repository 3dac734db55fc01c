#![no_main]
//! Fuzzes `bodies::template`.

#[path = "../../tests/it/fuzz_corpus/bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::template(bytes));
