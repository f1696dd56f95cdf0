//! The arguments of the command `handwound`. Parsing only: nothing is opened, imported or started here.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use handwound_reactor::Endpoint;
use handwound_wsgi::SiteConfig;

use crate::values::{self, ThreadRange};

const EXAMPLES: &str = "\
Examples:
  handwound web --wsgi hello.application
      Serve the object `application` of hello.py, in the current folder, on port 8080.
  handwound web --wsgi shop.wsgi:app --app-dir src --port 80 --threads 5..50
      Serve `app` of the module shop.wsgi, found below src, on port 80.
  handwound web --wsgi hello.application --listen tcp:8080:interface=127.0.0.1 --listen unix:/run/hello.sock
      Listen for this machine only, and on a UNIX socket as well.";

/// Serves WSGI applications.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "handwound", version, after_help = EXAMPLES, disable_help_subcommand = true)]
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
    /// Serve a WSGI application over HTTP.
    #[command(after_help = EXAMPLES)]
    Web(Box<Web>),
}

/// The options of `handwound web`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Web {
    /// The application: a module and a name in it, as `foo.application` or `foo:application`.
    #[arg(long, value_name = "MODULE.ATTR")]
    pub wsgi: String,

    /// The folder that holds the application; comes first on sys.path.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub app_dir: PathBuf,

    /// The Python to run with: an interpreter, or the folder of a virtual environment [default: the active virtual
    /// environment, or the Python this command was built with, or python3 on the PATH].
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,

    /// Follow PEP 3333 and RFC 3986 to the letter: refuse every str in a response body, where otherwise an ASCII str is
    /// sent with a warning; refuse brackets in a URL that are not percent-encoded.
    #[arg(long)]
    pub strict: bool,

    /// How to serve it.
    #[command(flatten)]
    pub serving: Serving,
}

/// The options that say how to serve, whatever the application is written in. Flatten them into a parser of your own
/// to give a Rust application the same command line.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Serving {
    /// Where to listen, as `tcp:8080`, `tcp:8080:interface=127.0.0.1` or `unix:/run/x.sock`; may be given several
    /// times [default: tcp:8080].
    #[arg(long, value_name = "ENDPOINT")]
    pub listen: Vec<Endpoint>,

    /// Listen on this TCP port: short for `--listen tcp:PORT`.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// How many threads call the application: at least and at the most, or one number for both.
    #[arg(long, value_name = "MIN..MAX", default_value = "5..20")]
    pub threads: ThreadRange,

    /// After SIGINT or SIGTERM, how long requests under way may take to finish.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    pub graceful_timeout: Duration,

    /// Which events to log to stderr: this level and those above it.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// Limits and timeouts of HTTP.
    #[command(flatten)]
    pub http: Http,
}

/// Limits and timeouts of HTTP.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Limits (BYTES take k, M and G)")]
pub struct Http {
    /// Whether the letter counts; set from `--strict`.
    #[arg(skip)]
    pub strict: bool,

    /// The largest request head; 64 bytes to 1G.
    #[arg(long, value_name = "BYTES", default_value = "64k", value_parser = values::head_bytes)]
    pub head_max: usize,

    /// The largest request body.
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = values::bytes)]
    pub body_max: u64,

    /// How much of a request body is kept in memory; more goes to a temporary file.
    #[arg(long, value_name = "BYTES", default_value = "512k", value_parser = values::bytes)]
    pub body_memory: u64,

    /// How long a client may take to send a request head.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = values::seconds)]
    pub head_timeout: Duration,

    /// How long a client may pause while sending a request body.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = values::seconds)]
    pub body_timeout: Duration,

    /// How long a connection may stay open without a request.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    pub idle_timeout: Duration,

    /// How long a client may take next to nothing of a response that waits for it.
    ///
    /// That is less than 240 bytes for each second of this time, and less than there is.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub send_timeout: Duration,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// Also what looks wrong.
    Warn,
    /// Also what happens as it should.
    Info,
    /// Also what helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Why [`Arguments::read`] gave no arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Help or the version was asked for: print this to stdout and exit with 0.
    Asked(String),
    /// The arguments are wrong: print this one line to stderr and exit with 1.
    Wrong(String),
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
        let parsed = Arguments::try_parse_from(arguments).map(|mut arguments| {
            let Command::Web(web) = &mut arguments.command;
            web.serving.http.strict = web.strict;
            arguments
        });
        parsed.map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refusal::Asked(error.render().to_string()),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Refusal::Wrong(
                "nothing to do; try 'handwound web --wsgi hello.application', or 'handwound --help'".to_owned(),
            ),
            ErrorKind::InvalidSubcommand => {
                let line = one_line(&error.render().to_string());
                Refusal::Wrong(format!("{}; the one there is: 'web'", line.split(';').next().unwrap_or(&line)))
            }
            _ => Refusal::Wrong(one_line(&error.render().to_string())),
        })
    }
}

impl Serving {
    /// Where to listen: what `--listen` and `--port` say, or `tcp:8080`.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let tcp = |port| Endpoint::tcp((Ipv4Addr::UNSPECIFIED, port).into());
        let mut endpoints: Vec<_> = self.listen.iter().cloned().chain(self.port.map(tcp)).collect();
        if endpoints.is_empty() {
            endpoints.push(tcp(8080));
        }
        endpoints
    }
}

impl Http {
    /// The same as the bounds of a site.
    pub fn site_config(&self) -> SiteConfig {
        let mut config = SiteConfig::default();
        config.http.refuse_brackets_in_targets = self.strict;
        config.http.head_bytes_max = self.head_max;
        config.http.body_bytes_max = self.body_max;
        config.http.head_timeout = self.head_timeout;
        config.http.body_timeout = self.body_timeout;
        config.http.idle_timeout = self.idle_timeout;
        config.body_memory_bytes_max = usize::try_from(self.body_memory).unwrap_or(usize::MAX);
        config.send_timeout = self.send_timeout;
        config
    }
}

/// Clap's report without its usage text: the error, then its tips.
fn one_line(report: &str) -> String {
    let mut line = String::new();
    for part in report.lines().map(str::trim).take_while(|part| !part.starts_with("Usage:")) {
        match part.strip_prefix("tip: ") {
            _ if part.is_empty() || part.starts_with("For more information") => continue,
            Some(tip) => line.push_str(&format!("; {tip}")),
            None if line.is_empty() => line.push_str(part.strip_prefix("error: ").unwrap_or(part)),
            None => line.push_str(&format!(" {part}")),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        assert_eq!(web.wsgi, "foo.application");
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
        let web = web("h web --wsgi a.b --port 80 --listen tcp:81 --listen unix:/x");
        assert_eq!(endpoints(&web), ["tcp:81", "unix:/x", "tcp:80"]);
    }

    #[test]
    fn a_wrong_option_is_one_line_with_the_nearest() {
        refuse(
            "h web --wsgi a.b --lisen tcp:1",
            "unexpected argument '--lisen' found; a similar argument exists: '--listen'",
        );
        refuse("h wbe", "unrecognized subcommand 'wbe'; the one there is: 'web'");
        refuse("h", "nothing to do; try 'handwound web --wsgi hello.application', or 'handwound --help'");
        refuse("h web", "the following required arguments were not provided: --wsgi <MODULE.ATTR>");
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
