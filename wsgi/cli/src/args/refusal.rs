//! Why there are no arguments: the parser's report in one line, with the nearest right thing.

use clap::CommandFactory;
use clap::error::{ContextKind, ErrorKind};

use super::{Arguments, instead};

/// Why [`Arguments::read`] gave no arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Help, the version or completions were asked for: print this to stdout and exit with 0.
    Asked(String),
    /// The arguments are wrong: print this one line to stderr and exit with 1.
    Wrong(String),
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Refusal {
        let report = || one_line(&error.render().to_string());
        Refusal::Wrong(match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                return Refusal::Asked(error.render().to_string());
            }
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "nothing to do; try 'handwound web --wsgi hello.application', or 'handwound --help'".to_owned()
            }
            ErrorKind::InvalidUtf8 => "an argument is not UTF-8; only paths may be other than text".to_owned(),
            ErrorKind::InvalidSubcommand => no_command(&given(&error, ContextKind::InvalidSubcommand)),
            ErrorKind::UnknownArgument => unknown(&given(&error, ContextKind::InvalidArg)).unwrap_or_else(report),
            _ => report(),
        })
    }
}

fn given(error: &clap::Error, kind: ContextKind) -> String {
    error.get(kind).map(ToString::to_string).unwrap_or_default()
}

fn no_command(name: &str) -> String {
    match name.contains([':', '.', '(']) {
        true => format!("no command '{name}'; did you mean 'handwound web {name}'?"),
        false => format!("no command '{name}'; commands are 'web', which serves, and 'completions'"),
    }
}

/// What to do instead of an option that is not here.
fn unknown(option: &str) -> Option<String> {
    let belongs_to_web = || {
        let command = Arguments::command();
        let web = command.find_subcommand("web")?;
        let mut all = web.get_arguments().filter(|argument| !argument.is_hide_set());
        all.find(|argument| {
            let is_long = option
                .strip_prefix("--")
                .is_some_and(|name| argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name)));
            is_long || argument.get_short().is_some_and(|short| option == format!("-{short}"))
        })?;
        Some(format!("{option} belongs to a command; write handwound web {option}"))
    };
    belongs_to_web().or_else(|| instead::instead_of(option))
}

/// Clap's report without its usage text: the error, then its tips.
fn one_line(report: &str) -> String {
    let mut line = String::new();
    for part in report.lines().map(str::trim).take_while(|part| !part.starts_with("Usage:")) {
        match part.strip_prefix("tip: ") {
            _ if part.is_empty() || part.starts_with("For more information") => continue,
            // Nobody means a negative number for the name of an application.
            Some(tip) if tip.starts_with("to pass '-") => continue,
            Some(tip) => line.push_str(&format!("; {tip}")),
            None if line.is_empty() => line.push_str(part.strip_prefix("error: ").unwrap_or(part)),
            None => line.push_str(&format!(" {part}")),
        }
    }
    line
}
