//! The object-safe face of a kind: JSON in, JSON out. One blanket implementation; nobody writes another.

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Behaviour, Class, Context, Probe, Step, StepError, StepMeta};

/// A kind as the engine sees it.
#[async_trait]
pub trait StepType: Send + Sync {
    /// The constant description.
    fn meta(&self) -> StepMeta;
    /// JSON Schema of the `with` table.
    fn params_schema(&self) -> Value;
    /// JSON Schema of the outputs, given the authored `with` table.
    fn output_schema(&self, with: &Value) -> Value;
    /// How the step behaves, given the authored `with` table.
    fn behaviour(&self, with: &Value) -> Behaviour;
    /// Problems of fully known params, one message each.
    fn check(&self, params: &Value) -> Vec<String>;
    /// See [`Step::one_way`]; false for an output that does not fit.
    fn one_way(&self, output: &Value) -> bool;
    /// See [`Step::undo_obstacle`]; None for params that do not fit.
    async fn undo_obstacle(&self, cx: &Context, params: &Value) -> Option<String>;
    /// See [`Step::probe`].
    async fn probe(&self, cx: &Context, params: &Value) -> Result<Probe<Value, Value>, StepError>;
    /// See [`Step::run`].
    async fn run(&self, cx: &Context, params: &Value, before: Option<&Value>) -> Result<Value, StepError>;
    /// See [`Step::undo`].
    async fn undo(&self, cx: &Context, params: &Value, before: Option<&Value>, output: Option<&Value>) -> Result<(), StepError>;
}

#[async_trait]
impl<S: Step> StepType for S {
    fn meta(&self) -> StepMeta {
        S::META
    }
    fn params_schema(&self) -> Value {
        schemars::schema_for!(S::Params).to_value()
    }
    fn output_schema(&self, with: &Value) -> Value {
        Step::output_schema(self, with)
    }
    fn behaviour(&self, with: &Value) -> Behaviour {
        Step::behaviour(self, with)
    }
    fn check(&self, params: &Value) -> Vec<String> {
        match S::Params::deserialize_from(params) {
            Ok(params) => Step::check(self, &params),
            Err(message) => vec![message],
        }
    }
    fn one_way(&self, output: &Value) -> bool {
        S::Output::deserialize_from(output).is_ok_and(|output| Step::one_way(self, &output))
    }
    async fn undo_obstacle(&self, cx: &Context, params: &Value) -> Option<String> {
        let params = S::Params::deserialize_from(params).ok()?;
        Step::undo_obstacle(self, cx, &params).await
    }
    async fn probe(&self, cx: &Context, params: &Value) -> Result<Probe<Value, Value>, StepError> {
        let params = self::params::<S>(params)?;
        Ok(match Step::probe(self, cx, &params).await? {
            Probe::Absent { before, changes } => Probe::Absent { before: to_json(&before)?, changes },
            Probe::Present { output } => Probe::Present { output: to_json(&output)? },
            Probe::Diverged { expected, found } => Probe::Diverged { expected, found },
            Probe::Unknown { reason } => Probe::Unknown { reason },
        })
    }
    async fn run(&self, cx: &Context, params: &Value, before: Option<&Value>) -> Result<Value, StepError> {
        let params = self::params::<S>(params)?;
        let before: Option<S::Before> = recorded("checkpoint", before)?;
        to_json(&Step::run(self, cx, &params, before.as_ref()).await?)
    }
    async fn undo(&self, cx: &Context, params: &Value, before: Option<&Value>, output: Option<&Value>) -> Result<(), StepError> {
        let params = self::params::<S>(params)?;
        let before: Option<S::Before> = recorded("checkpoint", before)?;
        let output: Option<S::Output> = recorded("output", output)?;
        Step::undo(self, cx, &params, before.as_ref(), output.as_ref()).await
    }
}

trait FromJson: Sized {
    fn deserialize_from(value: &Value) -> Result<Self, String>;
}

impl<T: DeserializeOwned> FromJson for T {
    fn deserialize_from(value: &Value) -> Result<Self, String> {
        T::deserialize(value).map_err(|error| error.to_string())
    }
}

fn params<S: Step>(value: &Value) -> Result<S::Params, StepError> {
    S::Params::deserialize_from(value).map_err(|message| StepError::refused(format!("params of `{}` do not fit: {message}", S::META.kind)))
}

fn recorded<T: DeserializeOwned>(what: &str, value: Option<&Value>) -> Result<Option<T>, StepError> {
    value
        .map(|value| {
            T::deserialize_from(value)
                .map_err(|message| StepError::new(Class::Internal, format!("recorded {what} does not fit: {message}")))
        })
        .transpose()
}

fn to_json<T: Serialize>(value: &T) -> Result<Value, StepError> {
    serde_json::to_value(value).map_err(|error| StepError::new(Class::Internal, format!("cannot serialise a result: {error}")))
}
