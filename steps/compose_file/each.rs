//! `{{#each}}` as Handlebars has it, except that nothing to go over is no error, and that it knows where in the data it is.

use handlebars::{BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, Renderable};
use handlebars::{RenderError, RenderErrorReason};
use serde_json::Value;

use super::fill::Shared;

/// The block.
pub(super) struct Each {
    pub shared: Shared,
}

impl HelperDef for Each {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let over = helper.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("each", 0))?;
        let entries: Vec<(Value, String, &Value)> = match over.value() {
            Value::Array(list) => list.iter().enumerate().map(|(index, item)| (index.into(), index.to_string(), item)).collect(),
            Value::Object(table) => table.iter().map(|(key, item)| (key.as_str().into(), key.clone(), item)).collect(),
            Value::Null => Vec::new(),
            other => return Err(RenderErrorReason::Other(format!("`each` goes over a list or a table, not over `{other}`")).into()),
        };
        let Some(body) = helper.template().filter(|_| !entries.is_empty()) else {
            return helper.inverse().map_or(Ok(()), |inverse| inverse.render(engine, context, render, out));
        };
        let path = over.context_path();
        let outer = self.shared.state().places.last().cloned();
        self.shared.state().places.push(path.cloned().or(outer).unwrap_or_default());
        render.push_block(BlockContext::new());
        let last = entries.len() - 1;
        for (index, (key, segment, item)) in entries.into_iter().enumerate() {
            if let Some(path) = path
                && let Some(place) = self.shared.state().places.last_mut()
            {
                place.truncate(path.len());
                place.push(segment.clone());
            }
            if let Some(block) = render.block_mut() {
                match path {
                    Some(path) => *block.base_path_mut() = path.iter().cloned().chain([segment]).collect(),
                    None => block.set_base_value(item.clone()),
                }
                block.set_local_var("first", (index == 0).into());
                block.set_local_var("last", (index == last).into());
                block.set_local_var("index", index.into());
                block.set_local_var("key", key.clone());
                name(block, helper, path.is_some(), key, item)?;
            }
            body.render(engine, context, render, out)?;
        }
        render.pop_block();
        self.shared.state().places.pop();
        Ok(())
    }
}

/// Binds the names after `as |…|`.
fn name<'rc>(block: &mut BlockContext<'rc>, helper: &Helper<'rc>, has_path: bool, key: Value, item: &Value) -> Result<(), RenderError> {
    let (item_name, key_name) = match (helper.block_param(), helper.block_param_pair()) {
        (Some(item), _) => (item, None),
        (None, Some((item, key))) => (item, Some(key)),
        (None, None) => return Ok(()),
    };
    let mut params = BlockParams::new();
    if has_path {
        params.add_path(item_name, Vec::new())?;
    } else {
        params.add_value(item_name, item.clone())?;
    }
    if let Some(key_name) = key_name {
        params.add_value(key_name, key)?;
    }
    block.set_block_params(params);
    Ok(())
}
