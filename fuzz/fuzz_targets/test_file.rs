#![no_main]
//! Fuzzes `bodies::test_file`.

#[path = "../../tests/it/fuzz_corpus/bodies.rs"]
#[expect(dead_code, reason = "the other targets are in it as well")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::test_file(bytes));
