//! The typed trait that the author of a kind implements.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Behaviour, Context, Probe, StepError, StepMeta};

/// A kind of step.
///
/// The laws in `steps/tests/laws.rs` hold for every implementation: a probe changes nothing; after `run` a probe answers
/// Present; running again changes nothing (unless [`super::Repeat::Never`]); undo returns the world to `before` and may be
/// repeated; undo without an output works after a cut at any port call.
pub trait Step: Send + Sync + 'static {
    /// The `with` table. Derive with `#[serde(deny_unknown_fields)]`.
    type Params: DeserializeOwned + JsonSchema + Send + Sync;
    /// The checkpoint: what undo will need, durable before `run` is called.
    type Before: Serialize + DeserializeOwned + Send + Sync;
    /// The typed result.
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + Sync;
    /// The constant description.
    const META: StepMeta;

    /// How this step behaves given its authored `with` table (templates may be unrendered).
    fn behaviour(&self, _with: &Value) -> Behaviour {
        Self::META.behaviour
    }

    /// The schema of the outputs given the authored `with` table; for kinds whose outputs are declared there.
    fn output_schema(&self, _with: &Value) -> Value {
        schemars::schema_for!(Self::Output).to_value()
    }

    /// What serde and the schema cannot say about params whose values are all known. One message per problem.
    fn check(&self, _params: &Self::Params) -> Vec<String> {
        Vec::new()
    }

    /// Whether what an attempt did cannot be taken back, though steps of this kind usually can: then the run is past the point of no
    /// return from here on.
    fn one_way(&self, _output: &Self::Output) -> bool {
        false
    }

    /// What would keep [`Step::undo`] from taking back, as things are now, what this step is about to do: one lower-case clause. None where
    /// nothing is known that would. Looks; touches nothing.
    fn undo_obstacle(&self, _cx: &Context, _params: &Self::Params) -> impl Future<Output = Option<String>> + Send {
        async { None }
    }

    /// Looks; touches nothing.
    fn probe(
        &self,
        cx: &Context,
        params: &Self::Params,
    ) -> impl Future<Output = Result<Probe<Self::Before, Self::Output>, StepError>> + Send;

    /// Acts. `before` is durable when this is called; it is None only where the probe cannot tell (`Unknown`).
    fn run(
        &self,
        cx: &Context,
        params: &Self::Params,
        before: Option<&Self::Before>,
    ) -> impl Future<Output = Result<Self::Output, StepError>> + Send;

    /// Takes back what this run made. Repeatable. `output` is None where the attempt was cut off.
    fn undo(
        &self,
        cx: &Context,
        params: &Self::Params,
        before: Option<&Self::Before>,
        output: Option<&Self::Output>,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
}
