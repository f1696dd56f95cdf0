//! Options of gunicorn and twistd that are not here, and what to do instead.

/// Whose option it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Gunicorn,
    Twistd,
    /// Of both, or of many.
    Anybody,
}

use Whose::{Anybody, Gunicorn, Twistd};

/// The advice for `option`, as a line; `None` where nobody has such an option.
pub(super) fn instead_of(option: &str) -> Option<String> {
    let (_, whose, advice) = INSTEAD.iter().find(|(names, _, _)| names.contains(&option))?;
    Some(match whose {
        Gunicorn => format!("gunicorn's {option} is not here; {advice}"),
        Twistd => format!("twistd's {option} is not here; {advice}"),
        Anybody => format!("{option} is not here; {advice}"),
    })
}

const SERVICE: &str = "a service manager does that, as systemd with User= and Group=";
const SHELL: &str = "it stays in the foreground: let a service manager start it, or a shell with '&'";
const STREAMS: &str = "stdout and stderr are left alone; send them where you like with '>' and '2>'";
const SYSLOG: &str = "log to stderr or to a file, and let the service manager pass it on";
const METRICS: &str = "count from the access log, whose form --access-logformat sets";
const FIXED: &str = "what RFC 9112 forbids is always refused";
const HTTP1: &str = "HTTP/1.0 and 1.1 are served; put a proxy in front for others";
const PROXY: &str = "the application, or its middleware, reads X-Forwarded-For and the like";
const ASGI: &str = "only WSGI applications are served";
const TAP: &str = "applications of Twisted are not read; 'handwound web' serves, and Python starts its own reactor";
const TLS: &str = "TLS is as rustls has it by default; --certificate and --privkey are all there is to set";

/// By the spellings of one option.
const INSTEAD: &[(&[&str], Whose, &str)] = &[
    (
        &["--config", "--check-config", "--print-config"],
        Gunicorn,
        "there is no configuration file; put the options into a script",
    ),
    (&["--backlog"], Gunicorn, "write it into the endpoint: --listen tcp:8080:backlog=2048"),
    (&["--worker-class"], Gunicorn, "workers are processes with threads; --threads says how many"),
    (&["--worker-connections"], Gunicorn, "connections cost no thread; --threads bounds the requests at work"),
    (
        &["--timeout", "-t"],
        Gunicorn,
        "a request may take as long as it needs; --head-timeout, --body-timeout and --send-timeout bound what clients may take",
    ),
    (
        &["--limit-request-line", "--limit-request-fields", "--limit-request-field_size"],
        Gunicorn,
        "--head-max bounds the whole head",
    ),
    (&["--reload-engine", "--reload-extra-file"], Gunicorn, "--reload watches the files of what has been imported"),
    (&["--preload"], Gunicorn, "each worker imports the application itself, so that a reload takes new code"),
    (&["--sendfile", "--no-sendfile"], Gunicorn, "leave it out; files are read by workers"),
    (&["--reuse-port"], Gunicorn, "leave it out; workers share one socket"),
    (&["--daemon", "-D"], Gunicorn, SHELL),
    (&["--worker-tmp-dir"], Gunicorn, "leave it out; workers tell their master over a socket"),
    (&["--user", "-u", "--group", "-g", "--uid", "--gid", "--initgroups", "--euid", "--chroot"], Anybody, SERVICE),
    (&["--forwarded-allow-ips", "--proxy-protocol", "--proxy-allow-from", "--forwarder-headers"], Gunicorn, PROXY),
    (&["--secure-scheme-headers"], Gunicorn, PROXY),
    (&["--disable-redirect-access-to-syslog", "--log-syslog", "--log-syslog-to"], Gunicorn, SYSLOG),
    (&["--log-syslog-prefix", "--log-syslog-facility", "--syslog", "--prefix"], Anybody, SYSLOG),
    (&["--capture-output", "--enable-stdio-inheritance", "-R"], Gunicorn, STREAMS),
    (
        &["--logger-class", "--log-config", "--log-config-json"],
        Gunicorn,
        "--error-logfile, --access-logfile and --log-level are all there is; applications set up their own logging",
    ),
    (&["--statsd-host", "--statsd-prefix", "--dogstatsd-tags", "--enable-backlog-metric"], Gunicorn, METRICS),
    (&["--name", "--proc-name"], Gunicorn, "the process keeps its name; --pid writes its number to a file"),
    (
        &["--paste", "--paster", "--paste-global"],
        Gunicorn,
        "load the application in a module: paste.deploy.loadapp('config:FILE')",
    ),
    (&["--ssl-version", "--ca-certs", "--cert-reqs", "--ciphers"], Gunicorn, TLS),
    (&["--suppress-ragged-eofs", "--do-handshake-on-connect"], Gunicorn, TLS),
    (&["--permit-obsolete-folding", "--strip-header-spaces", "--casefold-http-method"], Gunicorn, FIXED),
    (&["--permit-unconventional-http-method", "--permit-unconventional-http-version"], Gunicorn, FIXED),
    (&["--header-map"], Gunicorn, "headers with an underscore in their names are always dropped"),
    (&["--http-parser"], Gunicorn, "leave it out; there is one, in Rust"),
    (&["--http-protocols", "--http2-cleartext", "--http2-max-concurrent-streams"], Gunicorn, HTTP1),
    (&["--http2-initial-window-size", "--http2-max-frame-size", "--http2-max-header-list-size"], Gunicorn, HTTP1),
    (&["--protocol", "--uwsgi-allow-from"], Gunicorn, HTTP1),
    (&["--asgi-loop", "--asgi-lifespan", "--asgi-disconnect-grace-period", "--root-path"], Gunicorn, ASGI),
    (&["--websocket-max-message-size"], Gunicorn, ASGI),
    (
        &["--dirty-app", "--dirty-workers", "--dirty-timeout", "--dirty-threads"],
        Gunicorn,
        "start threads or processes in the application",
    ),
    (&["--dirty-graceful-timeout"], Gunicorn, "start threads or processes in the application"),
    (
        &["--control-socket", "--control-socket-mode", "--no-control-socket"],
        Gunicorn,
        "signals to the process of --pid do it",
    ),
    (&["--spew"], Anybody, "'python3 -m trace' shows every line of a program"),
    (&["--rundir", "-d"], Twistd, "--chdir DIR does that"),
    (&["--reactor", "-r", "--help-reactors"], Twistd, "there is one reactor, on epoll or kqueue"),
    (&["--file", "-f", "--source", "-s", "-y", "--encrypted", "--no_save", "-o", "--originalname"], Twistd, TAP),
    (&["--logger"], Twistd, "--error-logfile and --log-level are all there is; applications set up their own logging"),
    (&["--profile", "--profiler", "--savestats"], Twistd, "'py-spy top --pid' looks into a process that runs"),
    (&["--debug"], Twistd, "put 'breakpoint()' where you want to look"),
    (&["--class"], Twistd, "--resource-script FILE serves the resource that a script makes"),
    (
        &["--processor"],
        Twistd,
        "give static.File its processors in a script, and serve that with --resource-script FILE",
    ),
    (&["--personal"], Twistd, "--path ~/public_html --listen unix:~/.twistd-web serves a folder on a socket"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;
    use crate::args::Arguments;

    /// Of gunicorn 27 and of Twisted 25: what their `--help` lists.
    const GUNICORN: &str = "--config --bind --backlog --workers --worker-class --threads --worker-connections \
        --max-requests --max-requests-jitter --timeout --graceful-timeout --keep-alive --limit-request-line \
        --limit-request-fields --limit-request-field_size --reload --reload-engine --reload-extra-file --spew \
        --check-config --print-config --preload --no-sendfile --reuse-port --chdir --daemon --env --pid \
        --worker-tmp-dir --user --group --umask --initgroups --forwarded-allow-ips --access-logfile \
        --disable-redirect-access-to-syslog --access-logformat --error-logfile --log-file --log-level \
        --capture-output --logger-class --log-config --log-config-json --log-syslog-to --log-syslog \
        --log-syslog-prefix --log-syslog-facility --enable-stdio-inheritance --statsd-host --dogstatsd-tags \
        --statsd-prefix --enable-backlog-metric --name --pythonpath --paste --paster --proxy-protocol \
        --proxy-allow-from --protocol --uwsgi-allow-from --keyfile --certfile --ssl-version --cert-reqs --ca-certs \
        --suppress-ragged-eofs --do-handshake-on-connect --ciphers --http-protocols --http2-cleartext \
        --http2-max-concurrent-streams --http2-initial-window-size --http2-max-frame-size \
        --http2-max-header-list-size --paste-global --permit-obsolete-folding --strip-header-spaces \
        --permit-unconventional-http-method --permit-unconventional-http-version --casefold-http-method \
        --forwarder-headers --header-map --asgi-loop --asgi-lifespan --asgi-disconnect-grace-period \
        --websocket-max-message-size --http-parser --root-path --dirty-app --dirty-workers --dirty-timeout \
        --dirty-threads --dirty-graceful-timeout --control-socket --control-socket-mode --no-control-socket \
        -b -w -t -D -e -p -u -g -R";
    const TWISTD: &str = "--debug --chroot --rundir --encrypted --euid --file --gid --help-reactors --logfile --logger \
        --nodaemon --no_save --originalname --profile --pidfile --prefix --profiler --reactor --source --savestats \
        --spew --syslog --uid --umask --add-header --allow-ignore-ext --certificate --class --display-tracebacks \
        --https --index --ignore-ext --privkey --listen --mime-type --notracebacks --port --path --personal \
        --processor --resource-script --user --wsgi -n -l -c -k -i -m -p -d -f -g -o -r -s -u -y";

    fn known() -> Vec<String> {
        let command = Arguments::command();
        let web = command.find_subcommand("web").unwrap();
        let all = command.get_arguments().chain(web.get_arguments());
        let names = all.flat_map(|argument| {
            let long = argument.get_long_and_visible_aliases().unwrap_or_default();
            let long = long.into_iter().chain(argument.get_all_aliases().unwrap_or_default());
            let short = argument.get_short().map(|short| format!("-{short}"));
            long.map(|name| format!("--{name}")).chain(short).collect::<Vec<_>>()
        });
        names.collect()
    }

    #[test]
    fn every_option_of_gunicorn_and_twistd_is_here_or_has_advice() {
        let known = known();
        let lost = |option: &&str| !known.iter().any(|name| name == option) && instead_of(option).is_none();
        let lost: Vec<_> = GUNICORN.split_whitespace().chain(TWISTD.split_whitespace()).filter(lost).collect();
        assert_eq!(lost, Vec::<&str>::new());
    }

    #[test]
    fn nobody_is_advised_against_what_is_here() {
        let known = known();
        let all = INSTEAD.iter().flat_map(|(names, _, _)| names.iter());
        assert_eq!(
            all.filter(|name| known.iter().any(|known| known == *name)).collect::<Vec<_>>(),
            Vec::<&&str>::new()
        );
    }
}
