//! Sockets that systemd has opened and handed to this process: `LISTEN_FDS`, as sd_listen_fds(3) has it.

use std::env;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use super::{Domain, Endpoint, EndpointError, Systemd, Which, wrong};

/// The sockets that systemd has handed to this process.
pub struct SystemdSockets {
    sockets: ListenFd,
    /// `LISTEN_FDNAMES`, in the order of the sockets.
    names: Vec<String>,
    /// Why there are none.
    none: Option<String>,
}

impl SystemdSockets {
    /// Takes them out of the environment, so that processes which this one starts do not take them for theirs. To be
    /// called once, early, while this process has one thread.
    pub fn take_from_environment() -> SystemdSockets {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let (pid, count, names) = (variable("LISTEN_PID"), variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
        let none = why_none(&pid, &count, std::process::id());
        let taken = ListenFd::from_env();
        let sockets = if none.is_some() { ListenFd::empty() } else { taken };
        SystemdSockets { sockets, names: names.split(':').map(str::to_owned).collect(), none }
    }

    /// The socket that an [inherited](Endpoint::is_inherited) endpoint stands for; each can be had once.
    ///
    /// # Errors
    /// One line: why there is none, or which there are.
    ///
    /// # Panics
    /// If the endpoint is not inherited.
    pub fn take(&mut self, endpoint: &Endpoint) -> Result<OwnedFd, EndpointError> {
        let Systemd { domain, which } = endpoint.systemd.as_ref().expect("the endpoint is an inherited one");
        if let Some(why) = &self.none {
            return wrong(why.clone());
        }
        let index = match which {
            Which::Index(index) => *index,
            Which::Name(name) => match self.names.iter().position(|other| other == name) {
                Some(index) => index,
                None if self.names.iter().all(String::is_empty) => {
                    return wrong(format!(
                        "systemd has given its sockets no names, so none is '{name}'; write 'index=0' for the first of them"
                    ));
                }
                None => {
                    let names = self.names.join("', '");
                    return wrong(format!("systemd has opened no socket named '{name}', but '{names}'"));
                }
            },
        };
        if index >= self.sockets.len() {
            let all = match self.sockets.len() {
                1 => "one socket: its index is 0".to_owned(),
                count => format!("{count} sockets: the last index is {}", count - 1),
            };
            return wrong(format!("systemd has opened no socket {index}, but {all}"));
        }
        let found = self.open(index)?;
        match domain {
            Some(domain) if *domain != found.1 => {
                let (said, is) = (domain.name(), found.1.name());
                wrong(format!("the socket {index} of systemd is of the domain {is}, not {said}; write 'domain={is}'"))
            }
            _ => Ok(found.0),
        }
    }

    fn open(&mut self, index: usize) -> Result<(OwnedFd, Domain), EndpointError> {
        let taken = || EndpointError(format!("the socket {index} of systemd is in use by another endpoint already"));
        let tcp = match self.sockets.take_tcp_listener(index) {
            Ok(listener) => Some(listener.ok_or_else(taken)?),
            // It may be the other kind.
            Err(_) => None,
        };
        if let Some(listener) = tcp {
            let is_v6 = listener.local_addr().is_ok_and(|at| at.is_ipv6());
            return Ok((listener.into(), if is_v6 { Domain::Inet6 } else { Domain::Inet }));
        }
        match self.sockets.take_unix_listener(index) {
            Ok(listener) => Ok((listener.ok_or_else(taken)?.into(), Domain::Unix)),
            Err(_) => {
                wrong(format!("the socket {index} of systemd is no stream socket; its unit needs 'ListenStream='"))
            }
        }
    }
}

/// Whether these variables are for the process `own`; if not, why not.
fn why_none(pid: &str, count: &str, own: u32) -> Option<String> {
    let start = "start it by its '.socket' unit, or by 'systemd-socket-activate'";
    let pid = pid.trim();
    if pid.is_empty() || count.trim().is_empty() {
        return Some(format!("systemd has not handed any socket to this process (LISTEN_FDS is not set); {start}"));
    }
    match (pid.parse::<u32>(), count.trim().parse::<u16>()) {
        (Err(_), _) => Some(format!("LISTEN_PID is '{pid}', which is no process; {start}")),
        (Ok(pid), _) if pid != own => Some(format!(
            "systemd has handed its sockets to process {pid}, and this is {own}; no shell may stand between them"
        )),
        (_, Err(_)) => Some(format!("LISTEN_FDS is '{count}', which is no number of sockets; {start}")),
        (_, Ok(0)) => Some(format!("systemd has handed no socket to this process (LISTEN_FDS is 0); {start}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_not_for_this_process() {
        let check = |pid: &str, count: &str, why: &str| {
            let found = why_none(pid, count, 77).unwrap_or_default();
            assert!(found.contains(why) && !found.contains('\n'), "{pid} {count}: {found}");
        };
        assert_eq!(why_none("77", "1", 77), None);
        check("", "", "LISTEN_FDS is not set");
        check("77", "", "LISTEN_FDS is not set");
        check("", "1", "LISTEN_FDS is not set");
        check("78", "1", "to process 78, and this is 77");
        check("x", "1", "LISTEN_PID is 'x'");
        check("77", "-1", "LISTEN_FDS is '-1'");
        check("77", "0", "LISTEN_FDS is 0");
    }

    /// `systemd-socket-activate` names none unless it is told to.
    #[test]
    fn a_name_where_there_are_none() {
        let found = |names: &str| {
            let names = names.split(':').map(str::to_owned).collect();
            let mut sockets = SystemdSockets { sockets: ListenFd::empty(), names, none: None };
            let endpoint = "systemd:name=web".parse().expect("an endpoint");
            sockets.take(&endpoint).expect_err("there is no such socket").to_string()
        };
        assert!(found("").ends_with("write 'index=0' for the first of them"), "{}", found(""));
        assert!(found("a:b").ends_with("no socket named 'web', but 'a', 'b'"), "{}", found("a:b"));
    }
}
