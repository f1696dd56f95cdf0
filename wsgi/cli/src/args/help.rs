//! What the command teaches: examples, signals, and completions for shells.

use clap::{Arg, ArgMatches, Command, CommandFactory, value_parser};
use clap_complete::Shell;

use super::Arguments;

/// Behind `handwound --help`.
pub(super) const FIRST_STEPS: &str = "\
Examples:
  handwound web --wsgi hello.application
      Serve the object `application` of hello.py, in this folder, on port 8080.
  handwound web --help
      Say all that can be set, with more examples.
  handwound completions bash > ~/.local/share/bash-completion/completions/handwound
      Have the shell complete names and options.";

/// Behind `handwound web --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  handwound web --wsgi hello.application
      Serve the object `application` of hello.py, in this folder, on port 8080.
  handwound web shop:app --bind 127.0.0.1:8000 --reload --log-level debug
      While writing it: for this machine only; what is saved is served.
  handwound web 'shop:make(debug=False)' --app-dir src --env SHOP=open
      Serve what a factory returns; its module is found below src.
  handwound web shop:app --workers 4 --threads 5..50 --pid shop.pid
      Four processes on one port, each with up to 50 requests at work.
  handwound web shop:app --logfile access.log --error-logfile errors.log
      Logs in files, opened anew on SIGUSR1.
  handwound web --path public --index home.html --https 8443
      The files of a folder, over TLS with the certificate in server.pem.
  handwound web shop:app --listen unix:shop.sock:mode=660 --port 80
      At a socket that a proxy may open, and on port 80.

Signals:
  TERM, INT  Finish what is under way, within --graceful-timeout, and end; a
             second one ends at once.
  USR1       Open log files anew, after they were moved away.
  HUP        Replace the workers, without losing a request: for new code.
  TTIN, TTOU One worker more, one less.
  The last two lines hold with --workers, --reload, --max-requests or --pid.";

/// The whole parser: [`Arguments`], and what prints and ends.
pub(super) fn command() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    let completions = Command::new("completions")
        .about("Print what has a shell complete names and options")
        .after_help(COMPLETIONS)
        .arg(shell.help("The shell that is to complete them"));
    Arguments::command().subcommand(completions)
}

const COMPLETIONS: &str = "\
Examples:
  handwound completions bash > ~/.local/share/bash-completion/completions/handwound
  handwound completions zsh > ~/.zfunc/_handwound
      with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  handwound completions fish > ~/.config/fish/completions/handwound.fish";

/// What `handwound completions` prints, if that was asked for.
pub(super) fn completions(matches: &ArgMatches) -> Option<String> {
    let (_, asked) = matches.subcommand().filter(|(name, _)| *name == "completions")?;
    let shell = *asked.get_one::<Shell>("shell").expect("the parser requires it");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "handwound", &mut script);
    Some(String::from_utf8_lossy(&script).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The commands that a text shows, as a shell would split them.
    fn shown(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("  handwound "));
        let words = |line: &str| {
            let line = line.split(" > ").next().unwrap();
            let words = std::iter::once("handwound").chain(line.split(' '));
            words.map(|word| word.trim_matches('\'').to_owned()).collect()
        };
        lines.map(words).collect()
    }

    #[test]
    fn every_example_is_read() {
        let all = [FIRST_STEPS, EXAMPLES, COMPLETIONS].map(shown).concat();
        assert!(all.len() > 10);
        for words in all {
            let read = command().try_get_matches_from(&words);
            let is_help = words.iter().any(|word| word == "--help");
            assert!(is_help || read.is_ok(), "{words:?}: {}", read.unwrap_err());
        }
    }

    #[test]
    fn examples_fit_a_narrow_terminal() {
        for line in [FIRST_STEPS, EXAMPLES].into_iter().flat_map(str::lines) {
            assert!(line.len() <= 80 || line.contains("completions"), "{line}");
        }
    }
}
