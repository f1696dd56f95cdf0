//! The arguments of the command `handwound`. Parsing only: nothing is opened, imported or started here.

mod gunicorn;
mod help;
mod instead;
mod limits;
mod refusal;
mod serving;
mod twisted;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches, Parser, Subcommand};

use crate::values;

pub use gunicorn::Processes;
pub use limits::Http;
pub use refusal::Refusal;
pub use serving::{LogLevel, Logs, Serving};
pub use twisted::{Files, Https};

/// Serves WSGI applications, files and scripts over HTTP.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "handwound", version, after_help = help::FIRST_STEPS, disable_help_subcommand = true)]
pub struct Arguments {
    /// Stay in the foreground, as is the default; accepted for those who come from twistd.
    #[arg(short = 'n', long)]
    pub nodaemon: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command can do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Serve a WSGI application, or files and scripts.
    #[command(after_help = help::EXAMPLES)]
    Web(Box<Web>),
}

/// The options of `handwound web`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Web {
    /// The application, as `module:name`; the same as --wsgi.
    #[arg(value_name = "MODULE:APP", conflicts_with = "wsgi", help_heading = "What to serve, one of these")]
    pub application: Option<String>,

    /// The application: a module and a name in it, as `foo.application` or `foo:application`.
    #[arg(long, value_name = "MODULE.ATTR", help_heading = "What to serve, one of these")]
    pub wsgi: Option<String>,

    /// The files and scripts of this folder.
    #[arg(long, value_name = "DIR", help_heading = "What to serve, one of these")]
    pub path: Option<PathBuf>,

    /// The resource that this script makes, for all paths.
    #[arg(long, value_name = "FILE", help_heading = "What to serve, one of these")]
    pub resource_script: Option<PathBuf>,

    /// The folder that holds the application; comes first on sys.path.
    #[arg(long, visible_alias = "pythonpath", value_name = "DIR", default_value = ".", help_heading = "Python")]
    pub app_dir: PathBuf,

    /// The Python to run with: an interpreter, or the folder of a virtual environment [default: the active virtual
    /// environment, or the Python this command was built with, or python3 on the PATH].
    #[arg(long, value_name = "PATH", help_heading = "Python")]
    pub python: Option<PathBuf>,

    /// Follow PEP 3333 and RFC 3986 to the letter: refuse every str in a response body, where otherwise an ASCII str is
    /// sent with a warning; refuse brackets in a URL that are not percent-encoded.
    #[arg(long, help_heading = "Python")]
    pub strict: bool,

    /// Set a variable of the environment before the application is imported; may be given several times.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = values::variable, help_heading = "Python")]
    pub env: Vec<(OsString, OsString)>,

    /// How files and scripts are served.
    #[command(flatten)]
    pub files: Files,

    /// How to serve it.
    #[command(flatten)]
    pub serving: Serving,
}

/// What `handwound web` serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served<'a> {
    /// The WSGI application of this name.
    Wsgi(&'a str),
    /// The files and scripts of this folder.
    Path(&'a Path),
    /// What this script makes.
    ResourceScript(&'a Path),
}

impl Web {
    /// What to serve.
    ///
    /// # Errors
    /// One line, where it is nothing or more than one thing.
    pub fn served(&self) -> Result<Served<'_>, String> {
        let application = self.wsgi.as_deref().or(self.application.as_deref());
        let all = [
            application.map(Served::Wsgi),
            self.path.as_deref().map(Served::Path),
            self.resource_script.as_deref().map(Served::ResourceScript),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(served), None) => Ok(served),
            (None, _) => Err("nothing to serve; name an application, as 'handwound web --wsgi hello.application', \
                              or a folder with --path DIR"
                .to_owned()),
            (Some(_), Some(_)) => Err("more than one thing to serve; keep one of the application, --path and \
                                       --resource-script"
                .to_owned()),
        }
    }
}

impl Arguments {
    /// Reads the command line; `arguments` begin with the name of the program.
    ///
    /// # Errors
    /// [`Refusal::Asked`] for `--help` and `--version`; [`Refusal::Wrong`] for whatever the person typed wrong, in
    /// one line that names the nearest right thing where there is one.
    pub fn read<I>(arguments: I) -> Result<Arguments, Refusal>
    where
        I: IntoIterator,
        I::Item: Into<OsString> + Clone,
    {
        let matches = help::command().try_get_matches_from(arguments)?;
        if let Some(script) = help::completions(&matches) {
            return Err(Refusal::Asked(script));
        }
        let mut arguments = Arguments::from_arg_matches(&matches)?;
        let Command::Web(web) = &mut arguments.command;
        web.serving.http.strict = web.strict;
        web.served().map_err(Refusal::Wrong)?;
        web.serving.check_https().map_err(Refusal::Wrong)?;
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::values::ThreadRange;

    fn web(line: &str) -> Web {
        let Command::Web(web) = Arguments::read(line.split(' ')).unwrap().command;
        *web
    }

    fn endpoints(web: &Web) -> Vec<String> {
        web.serving.endpoints().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn refuse(line: &str, said: &str) {
        let Err(Refusal::Wrong(text)) = Arguments::read(line.split(' ')) else { panic!("accepted: {line}") };
        assert_eq!(text, said);
    }

    #[test]
    fn the_tutorials_command_line_is_enough() {
        let web = web("handwound -n web --wsgi foo.application");
        assert_eq!(web.served(), Ok(Served::Wsgi("foo.application")));
        assert_eq!(endpoints(&web), ["tcp:8080"]);
        assert_eq!(web.serving.threads, ThreadRange { min: 5, max: 20 });
        assert_eq!(web.serving.graceful_timeout, Duration::from_secs(30));
        assert!(!web.strict && !web.serving.http.site_config().http.refuse_brackets_in_targets);
    }

    #[test]
    fn strict_reaches_the_bounds_too() {
        let web = web("handwound web --strict --wsgi foo.application");
        assert!(web.strict && web.serving.http.site_config().http.refuse_brackets_in_targets);
    }

    #[test]
    fn endpoints_add_up() {
        assert_eq!(endpoints(&web("h web --wsgi a.b --port 80")), ["tcp:80"]);
        let web = web("h web a:b -b :82 --port 80 --listen tcp:81 --listen unix:/x");
        assert_eq!(endpoints(&web), ["tcp:81", "unix:/x", "tcp:80", "tcp:82"]);
    }

    #[test]
    fn a_wrong_option_is_one_line_with_the_nearest() {
        refuse(
            "h web --wsgi a.b --lisen tcp:1",
            "unexpected argument '--lisen' found; a similar argument exists: '--listen'",
        );
        refuse(
            "h web a.b --max-requests 1k",
            "invalid value '1k' for '--max-requests <N>': not a number of requests; write 1000, or 0 for never",
        );
        refuse("h web a.b --graceful-timeout -3", "unexpected argument '-3' found");
        refuse("h wbe", "no command 'wbe'; commands are 'web', which serves, and 'completions'");
        refuse("h shop:app -w 4", "no command 'shop:app'; did you mean 'handwound web shop:app'?");
        refuse("h --port 80 web", "--port belongs to a command; write handwound web --port");
        refuse(
            "h web a.b -t 30",
            "gunicorn's -t is not here; a request may take as long as it needs; --head-timeout, \
            --body-timeout and --send-timeout bound what clients may take",
        );
        refuse("h -r epoll web", "twistd's -r is not here; there is one reactor, on epoll or kqueue");
        refuse("h", "nothing to do; try 'handwound web --wsgi hello.application', or 'handwound --help'");
        refuse(
            "h web",
            "nothing to serve; name an application, as 'handwound web --wsgi hello.application', or a folder with \
             --path DIR",
        );
        refuse(
            "h web --wsgi a.b --threads 9..2",
            "invalid value '9..2' for '--threads <MIN..MAX>': the smaller number comes first; did you mean 2..9?",
        );
        refuse(
            "h web --wsgi a.b --log-level inf",
            "invalid value 'inf' for '--log-level <LEVEL>' [possible values: error, warn, info, debug, trace]; \
             a similar value exists: 'info'",
        );
    }

    #[test]
    fn one_thing_is_served() {
        assert_eq!(web("h web foo:app").served(), Ok(Served::Wsgi("foo:app")));
        refuse("h web a:b --wsgi c.d", "the argument '[MODULE:APP]' cannot be used with '--wsgi <MODULE.ATTR>'");
        refuse(
            "h web a:b --path x",
            "more than one thing to serve; keep one of the application, --path and --resource-script",
        );
    }

    #[test]
    fn a_folder_is_served_and_one_process_by_default() {
        assert_eq!(web("h web --path x").served(), Ok(Served::Path(std::path::Path::new("x"))));
        assert_eq!(web("h web a:b -w 1").serving.processes.workers, 1);
    }

    #[test]
    fn a_wrong_endpoint_is_one_line_with_the_nearest() {
        refuse(
            "h web --wsgi a.b --listen tpc:8080",
            "invalid value 'tpc:8080' for '--listen <ENDPOINT>': unknown endpoint type 'tpc'; did you mean 'tcp'?",
        );
    }

    #[test]
    fn limits_reach_the_site() {
        let web =
            web("h web --wsgi a.b --body-max 1k --head-max 4k --body-memory 2k --idle-timeout 0.5 --send-timeout 7");
        let config = web.serving.http.site_config();
        assert_eq!((config.http.body_bytes_max, config.http.head_bytes_max), (1024, 4096));
        assert_eq!(config.body_memory_bytes_max, 2048);
        assert_eq!(config.http.idle_timeout, Duration::from_millis(500));
        assert_eq!(config.send_timeout, Duration::from_secs(7));
        assert_eq!(config.http.check(), Ok(()));
        refuse(
            "h web --wsgi a.b --head-max 9",
            "invalid value '9' for '--head-max <BYTES>': a request head takes at least 64 bytes, and at most 1G is allowed",
        );
    }

    #[test]
    fn help_and_version_are_answers() {
        let asked = |line: &str| match Arguments::read(line.split(' ')) {
            Err(Refusal::Asked(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("h --version"), format!("handwound {}\n", env!("CARGO_PKG_VERSION")));
        assert!(asked("h --help").contains("handwound web --wsgi hello.application"));
        let help = asked("h web --help");
        for option in ["--wsgi", "--listen", "--app-dir", "--threads", "--python", "--body-max", "Examples:"] {
            assert!(help.contains(option), "{option} is missing:\n{help}");
        }
    }
}
