//! Templates are read once per thread and text: the items of a `foreach` share theirs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::TemplateError;
use super::ast::Compiled;
use super::convert;

/// Templates, and bytes of their texts, that are kept: enough for a formula of a thousand steps. When it is full it starts anew.
const CAPACITY: usize = 2_048;
const BYTES: usize = 256 * 1024;

/// Longer texts are rare and not worth keeping.
const LONGEST: usize = 4_096;

#[derive(Default)]
struct Cache {
    known: HashMap<Box<str>, Rc<Compiled>>,
    bytes: usize,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The template of that text.
pub(super) fn compiled(text: &str) -> Result<Rc<Compiled>, TemplateError> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.known.get(text).cloned()) {
        return Ok(found);
    }
    let compiled = Rc::new(convert::compile(text)?);
    if text.len() <= LONGEST {
        CACHE.with_borrow_mut(|cache| {
            if cache.known.len() >= CAPACITY || cache.bytes + text.len() > BYTES {
                *cache = Cache::default();
            }
            cache.bytes += text.len();
            cache.known.insert(text.into(), Rc::clone(&compiled));
        });
    }
    Ok(compiled)
}
