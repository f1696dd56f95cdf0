//! The command `handwound`: reads its arguments, finds Python, opens it, and hands over to the Python half.
//!
//! It never links Python, so that help, wrong options and a missing Python get a clear answer on any machine.

#![deny(unsafe_op_in_unsafe_fn)]

mod half;
mod interpreter;
mod library;
mod trouble;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use handwound_cli::{Arguments, Command, Program, Refusal, Web, enter, is_worker, logging, supervise};

use crate::half::Half;
use crate::interpreter::Surroundings;
use crate::trouble::Trouble;

/// The Python that the other half is built for, as `3.13`, or `3.13t` without the global interpreter lock.
const ABI: &str = env!("HANDWOUND_ABI");
/// The interpreter it was built with; empty where the build did not know.
const BUILT_WITH: &str = env!("HANDWOUND_BUILT_WITH");

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let outcome = match Arguments::read(&arguments).and_then(at_home) {
        Ok(Arguments { command: Command::Web(web), .. }) if web.serving.processes.is_supervised() && !is_worker() => {
            watch_over_workers(&web)
        }
        Ok(Arguments { command: Command::Web(web), .. }) => run(&arguments, web.python.as_deref()),
        Err(Refusal::Asked(answer)) => printed(&answer),
        Err(Refusal::Wrong(line)) => Err(Trouble::Arguments(line)),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            let _ = writeln!(std::io::stderr(), "handwound: {}", logging::one_line(&trouble.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Prints what was asked for.
fn printed(answer: &str) -> Result<u8, Trouble> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(answer.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever closes the pipe early has read enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Trouble::Arguments(format!("cannot print: {error}; send it elsewhere with '>'")))
        }
        _ => Ok(0),
    }
}

/// Goes where the arguments say: everything else is seen from there.
fn at_home(arguments: Arguments) -> Result<Arguments, Refusal> {
    let Command::Web(web) = &arguments.command;
    enter(&web.serving.processes).map_err(Refusal::Wrong)?;
    Ok(arguments)
}

/// Has others serve, each of them this program again.
fn watch_over_workers(web: &Web) -> Result<u8, Trouble> {
    logging::start(&web.serving.logs).map_err(Trouble::Serving)?;
    let own =
        Program::own().map_err(|error| Trouble::Serving(format!("cannot tell which program this is: {error}")))?;
    supervise(&web.serving, own).map_err(Trouble::Serving)
}

/// Everything that needs Python, from finding it to the exit code.
fn run(arguments: &[OsString], python: Option<&Path>) -> Result<u8, Trouble> {
    let around = Surroundings::of_this_process(BUILT_WITH);
    let interpreter = interpreter::choose(python, &around)?;
    let python = library::find(&interpreter, ABI, library::ask)?;
    let half = Half::open(&half::places()?, &python.library, ABI)?;
    Ok(half.run(arguments, &python.interpreter))
}
