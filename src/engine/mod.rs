//! The pure core: events to state ([`RunState::fold`]), state to commands ([`RunState::decide`]).
//!
//! Knows [`crate::model`] and what steps say of themselves; must not know a clock, a runtime, a file, a journal, a terminal or how a step does
//! its work. A driver carries out what `decide` says, records what came of it, and asks again.
//!
//! # For drivers
//!
//! - Whoever takes up a run records `run_resumed` first: what was in flight is then in doubt, and everybody agrees on that.
//! - `attempt_started` and `undo_started` are durable before the effect. A step that cannot be asked or rendered fails *without* them:
//!   `attempt_failed` with [`RunState::next_attempt`] (`undo_failed` in a rollback) says that nothing was begun.
//! - After every event the answer of `decide` is a new one. Commands of an older answer may not fit any more: after a failure ask again before
//!   the next one is begun.
//! - Commands name what is in flight, too. Attempts beyond the number of slots are *ahead*: their intent may become durable early, they begin
//!   when a slot is free, and they are withdrawn (`attempt_withdrawn`) if the mode is neither forward nor finally before they did.
//! - A probe leaves no event when it starts. If its answer comes late it is still recorded, in any mode.
//! - `Finish` says that nothing is left to do; the driver waits for the answers that are on their way, and asks once more.
//!
//! # Rules
//!
//! 1. A step starts when all it needs is done or skipped and the run goes forward. It is asked first if its kind can tell: absent, unknown →
//!    tried; present → done, adopted; diverged → held, which counts as a failure, for nothing was tried. Steps of `[[finally]]` start when the
//!    rest is over: everything done or skipped, or everything taken back.
//! 2. At most `max_parallel` steps are asked, tried or undone at once; intents of up to as many harmless ones (safe to repeat, nothing to ask)
//!    are announced ahead. Steps keep their turn; nobody overtakes a step that may not be announced ahead.
//! 3. A failure that may go away is tried again as long as there are attempts, after a wait; what is in doubt is asked before it is tried
//!    again. Present → done, ours. Absent → tried; the checkpoint stays the first one. Diverged → held. Unknown, or nothing to ask → tried if
//!    that is safe or recognised by its key, or a person said so, else held; so is a doubt that cannot even be asked about. Doubt holds
//!    whatever `on_failure` says, if it comes from a crash. A step that was cut off (interrupted, cancelled) is in doubt, without a try being
//!    counted, and ends the drive.
//! 4. After a failure nothing new starts, save other items of the same `foreach` step, and other steps of `[[finally]]` where one of those
//!    failed. The run is held; or refused, for good, if a look failed (or the step refused) before anything that
//!    does more than look was tried; or rolled back where the formula says so, unless that would pass the point of no return: then it is held.
//!    There is no way back past a step this run made whose undo is impossible, or that is one-way and has nothing to undo.
//! 5. A rollback begins when nothing is running. It undoes what this run made, each step after all that rest on it, also across steps that are
//!    left alone (adopted, skipped, never begun, and those of `[[finally]]`). Failed and doubtful steps are asked before: present → undone;
//!    absent → undone as well, for half an effect may look like none; diverged → not touched; unknown → undone if undo restores, not touched
//!    if it reverses or is impossible.
//!    What was taken back in part is taken back, even if another rollback by now would leave it alone.
//! 6. What could not be undone holds back what it rests on; other branches go on; the run ends as `rollback_incomplete`. A person may say that
//!    it is to be undone although nobody can tell, or that it is taken back by hand.
//! 7. A rollback down to a step ends as `stopped`; resumed, the run goes forward again and does what was taken back anew. A complete one ends
//!    as `rolled_back`, after the steps of `[[finally]]`, however those end.
//! 8. Taken up again, a run tries failed steps again with all their attempts (asking first where something may have been done) and asks held
//!    ones again where the kind can tell. Checkpoints of steps that were asked and never tried are taken anew.
//! 9. Just taken up, a run may get another plan (`plan_replaced`). Finished steps must be as they were; so must those that may have left
//!    something that undo would have to take back. Open gates, and approvals of what is otherwise now, are asked anew.
//! 10. What is done stays done, save what a person names (`redo_requested`, just taken up, also of a run that is done). It and all that rests
//!     on it is in doubt again, or pending where this run made nothing, and goes on by rule 3. What this run made it still takes back, to the
//!     first checkpoint. Refused where what rests on it would have to be taken back and may find other params by then. What a person vouched
//!     for stays, and so does what cannot be asked and must not be repeated.

#[macro_use]
mod mutation;

mod attempts;
mod command;
mod corrupt;
mod decide;
mod fold;
mod links;
mod mend;
mod queues;
mod recover;
mod redo;
mod request;
mod resume;
mod rollback;
mod state;
mod step_state;
mod verdict;

pub use command::Command;
pub use corrupt::Corrupt;
pub use mend::Mending;
pub use redo::Redoing;
pub use request::{NOBODY, Refusal, TIMER};
pub use state::{Mode, RunState};
pub use step_state::{Failure, Hold, Origin, StepState, Trouble};

#[cfg(test)]
mod cost;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod tests;
