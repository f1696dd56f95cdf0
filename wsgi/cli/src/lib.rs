//! The command line of handwound, for applications in any language: arguments, logging, signals, serving.
//!
//! Nothing here knows Python. The command `handwound` reads its arguments with [`Arguments`], finds Python and
//! hands over to `handwound-python`, which comes back to [`serve`] for what it has imported. A Rust application gets
//! the same command line by flattening [`Serving`] into its own:
//!
//! ```no_run
//! use clap::Parser;
//! use handwound_cli::{Serving, Signals, Wsgi, logging, serve};
//!
//! #[derive(Parser)]
//! struct Options {
//!     #[command(flatten)]
//!     serving: Serving,
//! }
//!
//! fn main() -> Result<(), String> {
//!     let options = Options::parse();
//!     logging::start(&options.serving.logs)?;
//!     let signals = Signals::watch().map_err(|error| error.to_string())?;
//!     let application = handwound_wsgi::application(|call| {
//!         call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
//!         Ok("Hello, world!")
//!     });
//!     serve(&options.serving, &signals, Wsgi::new(application))?;
//!     Ok(())
//! }
//! ```

#![forbid(unsafe_code)]

pub mod args;
mod endpoints;
pub mod logging;
mod place;
mod serve;
mod signals;
mod supervisor;
pub mod values;

pub use args::{Arguments, Command, Refusal, Served, Serving, Web};
pub use place::enter;
pub use serve::{Content, End, Wsgi, serve};
pub use signals::Signals;
pub use supervisor::{Program, Sources, is_worker, supervise};
