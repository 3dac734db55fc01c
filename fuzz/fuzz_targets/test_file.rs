#![no_main]
//! Fuzzes `bodies::test_file`.

#[path = "../../tests/it/fuzz_corpus/bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::test_file(bytes));
