//! Simulations that proptest drives: what a case that fails tells.

use proptest::test_runner::{TestCaseError, TestCaseResult};

use crate::choices::Choices;
use crate::failure::{Panicked, caught};
use crate::report::Scene;
use crate::sim::Sim;

/// Runs one case of a property in a world of its own. A failure, also by a panic, gets the sequence diagram, who waits
/// for what, and where the timeline is (see [`report`](crate::report())) behind its message, so that what proptest
/// prints in the end has those of the smallest case. What proptest tries on the way there is not shown.
///
/// The case comes again as any of proptest's does: from its regression file, or from the input that it prints.
///
/// # Errors
/// Why the case failed, or was rejected; for the property to pass on with `?`.
pub fn simulate(choices: Choices, test: impl FnOnce(&Sim) -> TestCaseResult) -> TestCaseResult {
    let sim = Sim::new(choices);
    let result = caught(true, || test(&sim));
    let reason = match result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(TestCaseError::Fail(reason))) => reason.message().to_owned(),
        Ok(Err(reject)) => return Err(reject),
        Err((Panicked { place, message }, _)) => match place {
            Some(place) => format!("{message}\nat {place}"),
            None => message,
        },
    };
    let scene = Scene::of(&sim, true);
    // What is left is unwound, which may panic too.
    drop(caught(true, || drop(sim)));
    Err(TestCaseError::fail(format!("{}\n\n{scene}", reason.trim_end())))
}
