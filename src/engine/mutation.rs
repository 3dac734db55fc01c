//! Deliberate mistakes in the rules, one at a time and under test only: a crash matrix that does not notice them proves nothing.

/// Whether a mistake is made now. Always false outside tests.
#[cfg(not(test))]
macro_rules! bent {
    ($mutation:ident) => {
        false
    };
}

/// Whether a mistake is made now.
#[cfg(test)]
macro_rules! bent {
    ($mutation:ident) => {
        $crate::engine::mutation::active($crate::engine::mutation::Mutation::$mutation)
    };
}

/// A mistake.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Mutation {
    /// Start a step before all it needs is over.
    IgnoreNeeds,
    /// Start the steps of `[[finally]]` with the rest.
    FinallyEarly,
    /// Start more than there are slots.
    IgnoreSlots,
    /// Start new steps after a failure or a request to stop.
    StartAnyway,
    /// Let a failed item of a `foreach` step stop the others.
    ForgetItems,
    /// Do not hear a request to stop.
    IgnoreCancel,
    /// Take an approval that nobody gave in time for given.
    ApproveLate,
    /// Take a person's answer that came too late.
    AnswerLate,
    /// Go on after a failure as if the step was not wanted.
    ForgetFailure,
    /// Never run out of attempts.
    ForgetTries,
    /// Try again after a crash without asking.
    SkipProbe,
    /// Repeat what must not be repeated when nobody can tell.
    RepeatNever,
    /// Overwrite what is not ours.
    OverwriteDiverged,
    /// Take what was there for made by this run.
    CreateWhatWasThere,
    /// Take the checkpoint of a second look for the state to go back to.
    ReplaceCheckpoint,
    /// Run finished steps again when taken up.
    RunDoneAgain,
    /// Go forward again when taken up in a rollback.
    ForgetRollback,
    /// Take an undo that was cut off for done.
    TrustUndo,
    /// Undo what was found in place.
    UndoAdopted,
    /// Undo what never began.
    UndoPending,
    /// Undo a step before those that need it.
    UndoForward,
    /// Undo while something is running.
    UndoWhileRunning,
    /// Undo what may never have happened although that must be known.
    GuessReverse,
    /// Take a person's word for another try for one to undo.
    UndoOnWordToRetry,
    /// Keep what was taken back in part, because a later rollback leaves it alone.
    KeepHalfUndone,
    /// Undo what a step rests on that could not be undone.
    PassFailedUndo,
    /// Mend a step that may have left something.
    MendWhatIsOwed,
    /// Take an approval for one of whatever comes after it.
    KeepApprovals,
    /// Do a step again and leave alone what rests on it.
    RedoAlone,
    /// Do again what must not be repeated, though nobody named it.
    RedoBlindly,
    /// Forget what a step that is done again has made before.
    RedoForgets,
    /// Roll back past the point of no return.
    PassOneWay,
    /// Look at every step after every event.
    RebuildAlways,
    /// In the driver: begin before the intent is durable.
    EffectFirst,
    /// In the driver: undo before the intent is durable.
    UndoFirst,
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(in crate::engine) fn active(mutation: Mutation) -> bool {
    ACTIVE.with(|active| active.get() == Some(mutation))
}

/// Makes a mistake for as long as `work` takes.
#[cfg(test)]
pub(in crate::engine) fn with<T>(mutation: Option<Mutation>, work: impl FnOnce() -> T) -> T {
    ACTIVE.with(|active| active.set(mutation));
    let result = work();
    ACTIVE.with(|active| active.set(None));
    result
}
