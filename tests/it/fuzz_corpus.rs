//! The corpus of the fuzz targets, without a fuzzer: what once was found stays mended.

use std::fs;
use std::path::Path;

mod bodies;

fn each(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{target}: {files:?}");
    for file in files {
        let bytes = fs::read(&file).expect("it is there");
        body(&bytes);
        // Whole, and cut off and spoilt at some places.
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(40).max(1)) {
            body(&bytes[..at]);
            let mut spoilt = bytes.clone();
            spoilt[at] = b'{';
            body(&spoilt);
        }
    }
}

#[test]
fn formulas_of_any_bytes_get_an_answer() {
    each("formula", bodies::formula);
}

#[test]
fn templates_of_any_text_get_an_answer() {
    each("template", bodies::template);
}

#[test]
fn test_files_of_any_text_get_an_answer() {
    each("test-file", bodies::test_file);
}
