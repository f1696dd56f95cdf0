//! The options that say how to serve, whatever is served.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use handwound_reactor::Endpoint;
use handwound_wsgi::{AccessLog, SiteConfig};

use super::{Http, Https, Processes};
use crate::logging::{self, AccessFormat, AccessLines, Target};
use crate::values::{self, ThreadRange};

/// The options that say how to serve, whatever the application is written in. Flatten them into a parser of your own
/// to give a Rust application the same command line.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Serving {
    /// Where to listen, as `tcp:8080`, `tcp:8080:interface=127.0.0.1`, `unix:/run/x.sock`,
    /// `ssl:443:privateKey=key.pem:certKey=cert.pem` or `systemd:index=0`; may be given several times [default: tcp:8080].
    #[arg(long, value_name = "ENDPOINT", value_parser = values::endpoint, help_heading = "Where to listen")]
    pub listen: Vec<Endpoint>,

    /// Listen on this TCP port: short for `--listen tcp:PORT`.
    #[arg(short, long, value_name = "PORT", value_parser = values::port, help_heading = "Where to listen")]
    pub port: Option<Endpoint>,

    /// Listen there, as gunicorn writes it: `127.0.0.1:8000`, `:8000`, `[::1]:8000`, `unix:/run/x.sock`; may be given
    /// several times.
    #[arg(short, long, value_name = "ADDRESS", value_parser = values::bind, help_heading = "Where to listen")]
    pub bind: Vec<Endpoint>,

    /// HTTPS beside HTTP.
    #[command(flatten)]
    pub https: Https,

    /// How many threads call the application: at least and at the most, or one number for both.
    ///
    /// With 0 the reactor's own thread calls it, for applications that are short and never wait: while one request is
    /// answered, no other is, and no client is read from or written to. A response is kept in memory until its client has
    /// read it, however long it is.
    #[arg(long, value_name = "MIN..MAX", default_value = "5..20", help_heading = "Threads and their end")]
    pub threads: ThreadRange,

    /// After SIGINT or SIGTERM, how long requests under way may take to finish.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    #[arg(help_heading = "Threads and their end")]
    pub graceful_timeout: Duration,

    /// Processes, and where they run.
    #[command(flatten)]
    pub processes: Processes,

    /// Logs.
    #[command(flatten)]
    pub logs: Logs,

    /// Add this to the head of every response, as `Name: value`; may be given several times.
    #[arg(long, value_name = "HEADER", value_parser = values::header, help_heading = "Responses")]
    pub add_header: Vec<(String, String)>,

    /// Limits and timeouts of HTTP.
    #[command(flatten)]
    pub http: Http,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Logs")]
pub struct Logs {
    /// Write a line for each request to this file, in the combined log format; `-` is stdout.
    #[arg(short, long, visible_alias = "access-logfile", value_name = "FILE")]
    pub logfile: Option<PathBuf>,

    /// Another form for these lines, in gunicorn's notation, as `%(h)s %(r)s %(s)s`.
    #[arg(long, value_name = "FORMAT", requires = "logfile", value_parser = AccessFormat::from_str)]
    pub access_logformat: Option<AccessFormat>,

    /// Write log events to this file; `-` is stderr [default: -].
    #[arg(long, visible_alias = "log-file", value_name = "FILE")]
    pub error_logfile: Option<PathBuf>,

    /// Which events to log: this level and those above it.
    #[arg(long, value_name = "LEVEL", default_value = "info", ignore_case = true)]
    pub log_level: LogLevel,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Only what failed.
    #[value(alias = "critical")]
    Error,
    /// Also what looks wrong.
    #[value(alias = "warning")]
    Warn,
    /// Also what happens as it should.
    Info,
    /// Also what helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Logs {
    /// Opens the access log, if there is to be one.
    ///
    /// # Errors
    /// One line that says what is wrong with its file, and what to do.
    pub fn access_log(&self) -> Result<Option<Arc<dyn AccessLog>>, String> {
        let Some(path) = &self.logfile else { return Ok(None) };
        let target = if path.as_os_str() == "-" { Target::Stdout } else { Target::file(path)? };
        let format = self.access_logformat.clone().unwrap_or_else(AccessFormat::combined);
        Ok(Some(Arc::new(AccessLines::new(logging::open(target)?, format))))
    }
}

impl Serving {
    /// Where to listen: what `--listen`, `--port`, `--bind` and `--https` say, or `tcp:8080` if none of them does.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let mut endpoints: Vec<_> = self.listen.iter().chain(&self.port).cloned().collect();
        endpoints.extend(self.bind.iter().map(|endpoint| match self.https.files() {
            // As gunicorn understands it.
            Some(files) if self.https.https.is_none() && endpoint.address().tcp().is_some() => {
                endpoint.clone().with_tls(files)
            }
            _ => endpoint.clone(),
        }));
        if let Some(port) = self.https.https {
            let files = self.https.files().unwrap_or_else(|| Https::default_files("server.pem".into(), None));
            endpoints.push(Endpoint::tcp((Ipv4Addr::UNSPECIFIED, port).into()).with_tls(files));
        }
        if endpoints.is_empty() {
            endpoints.push(Endpoint::tcp((Ipv4Addr::UNSPECIFIED, 8080).into()));
        }
        endpoints
    }

    /// Whether what is said of HTTPS makes sense.
    ///
    /// # Errors
    /// One line, for a certificate that nothing uses.
    pub fn check_https(&self) -> Result<(), String> {
        let is_used = self.https.https.is_some() || self.bind.iter().any(|endpoint| endpoint.address().tcp().is_some());
        match (&self.https.certificate, &self.https.privkey) {
            _ if is_used => Ok(()),
            (None, None) => Ok(()),
            (given, _) => Err(format!(
                "{} is for HTTPS, and nothing says where: add '--https 8443', or '--bind 127.0.0.1:8443'",
                if given.is_some() { "--certificate" } else { "--privkey" }
            )),
        }
    }

    /// The bounds of a site, its log, and what it adds to responses. Opens the access log.
    ///
    /// # Errors
    /// One line that says what is wrong, with the log's file or with a header, and what to do.
    pub fn site_config(&self) -> Result<SiteConfig, String> {
        let mut config = self.http.site_config();
        for (name, value) in &self.add_header {
            match name.eq_ignore_ascii_case("server") {
                true => config.http.server = Some(value.clone()),
                false => config.http.extra_headers.push(name, value).map_err(|why| format!("--add-header: {why}"))?,
            }
        }
        config.http.check()?;
        config.access_log = self.logs.access_log()?;
        Ok(config)
    }
}
