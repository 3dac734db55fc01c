//! Templates are read once per thread and text: the items of a `foreach` share theirs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::TemplateError;
use super::ast::Compiled;
use super::convert;

/// Enough for a formula of a thousand steps; when it is full it starts anew.
const CAPACITY: usize = 2_048;

/// Longer texts are rare and not worth keeping.
const LONGEST: usize = 4_096;

thread_local! {
    static CACHE: RefCell<HashMap<Box<str>, Rc<Compiled>>> = RefCell::new(HashMap::new());
}

/// The template of that text.
pub(super) fn compiled(text: &str) -> Result<Rc<Compiled>, TemplateError> {
    if let Some(found) = CACHE.with_borrow(|cache| cache.get(text).cloned()) {
        return Ok(found);
    }
    let compiled = Rc::new(convert::compile(text)?);
    if text.len() <= LONGEST {
        CACHE.with_borrow_mut(|cache| {
            if cache.len() >= CAPACITY {
                cache.clear();
            }
            cache.insert(text.into(), Rc::clone(&compiled));
        });
    }
    Ok(compiled)
}
