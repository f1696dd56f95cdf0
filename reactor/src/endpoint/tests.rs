//! What endpoint texts mean, what is wrong with others, and that what is printed can be read again.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

use super::*;

#[track_caller]
fn check(text: &str, address: &str, backlog: u32, unix_mode: Option<u32>) {
    let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(endpoint.address().to_string(), address, "{text}");
    let expected = ListenOptions { backlog, unix_mode, ..ListenOptions::default() };
    assert_eq!(endpoint.options(), expected, "{text}");
}

#[test]
fn texts_and_what_they_mean() {
    check("tcp:8080", "0.0.0.0:8080", 1024, None);
    check("tcp:port=8080", "0.0.0.0:8080", 1024, None);
    check("tcp:8080:interface=127.0.0.1:backlog=50", "127.0.0.1:8080", 50, None);
    check("tcp:backlog=50:interface=127.0.0.1:port=8080", "127.0.0.1:8080", 50, None);
    check("tcp:0:interface=127.0.0.1", "127.0.0.1:0", 1024, None);
    check("tcp:8080:interface=", "0.0.0.0:8080", 1024, None);
    check(r"tcp:8080:interface=\:\:1", "[::1]:8080", 1024, None);
    check("tcp6:8080", "[::]:8080", 1024, None);
    check(r"tcp6:8080:interface=\:\:1", "[::1]:8080", 1024, None);
    check(r"tcp6:8080:interface=fe80\:\:1%3", "[fe80::1%3]:8080", 1024, None);
    check("unix:/run/web.sock", "unix:/run/web.sock", 1024, None);
    check("unix:/run/web.sock:mode=660", "unix:/run/web.sock", 1024, Some(0o660));
    check("unix:/run/web.sock:mode=0600:backlog=9", "unix:/run/web.sock", 9, Some(0o600));
    check("unix:address=web.sock", "unix:web.sock", 1024, None);
    check(r"unix:/a\:b\=c\\d e", r"unix:/a:b=c\d e", 1024, None);
    check("unix:address=/a=b", "unix:/a=b", 1024, None);
}

#[track_caller]
fn refuse(text: &str, why: &str) {
    assert_eq!(text.parse::<Endpoint>().expect_err(text).to_string(), why, "{text}");
}

#[test]
fn types_that_are_refused() {
    refuse("", "an endpoint is missing; write for example 'tcp:8080'");
    refuse("8080", "'8080' has no endpoint type; did you mean 'tcp:8080'?");
    refuse("tpc:8080", "unknown endpoint type 'tpc'; did you mean 'tcp'?");
    refuse("TCP:8080", "unknown endpoint type 'TCP'; did you mean 'tcp'?");
    refuse("unxi:/x", "unknown endpoint type 'unxi'; did you mean 'unix'?");
    let known = "known types are 'tcp', 'tcp6', 'unix', 'ssl', 'systemd'";
    refuse("127.0.0.1:8080", &format!("unknown endpoint type '127.0.0.1'; {known}"));
    refuse(":8080", &format!("unknown endpoint type ''; {known}"));
    refuse("port=8080", "'port=8080' does not begin with an endpoint type; write for example 'tcp:8080'");
}

#[test]
fn tls_endpoints_name_their_files_as_in_twisted() {
    let check = |text: &str, address: &str, key: &str, certificate: &str, chain: Option<&str>| {
        let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let path = PathBuf::from;
        let files = TlsFiles { certificate: path(certificate), private_key: path(key), chain: chain.map(path) };
        assert_eq!((endpoint.address().to_string().as_str(), endpoint.tls()), (address, Some(&files)), "{text}");
    };
    check("ssl:443", "0.0.0.0:443", "server.pem", "server.pem", None);
    check("ssl:443:privateKey=k.pem", "0.0.0.0:443", "k.pem", "k.pem", None);
    check("ssl:port=443:privateKey=k.pem:certKey=c.pem", "0.0.0.0:443", "k.pem", "c.pem", None);
    let all = r"ssl:443:privatekey=k.pem:certkey=c\:d.pem:extracertchain=chain.pem:interface=127.0.0.1:backlog=9";
    check(all, "127.0.0.1:443", "k.pem", "c:d.pem", Some("chain.pem"));
    assert_eq!(all.parse::<Endpoint>().unwrap().options().backlog, 9);
    check(r"ssl:443:interface=\:\:1", "[::1]:443", "server.pem", "server.pem", None);
    assert_eq!("tcp:443".parse::<Endpoint>().unwrap().tls(), None);
}

#[test]
fn tls_endpoints_that_are_refused() {
    let example = "write for example 'ssl:443:privateKey=key.pem:certKey=cert.pem'";
    refuse("ssl", &format!("the port is missing; {example}"));
    refuse("ssl:x", "port 'x' is not a number between 0 and 65535");
    refuse("ssl:443:certKey=", &format!("'certKey' names no file; {example}"));
    refuse(
        "ssl:443:key=k.pem",
        "unknown option 'key'; known options are 'port', 'interface', 'backlog', 'privateKey', \
         'certKey', 'extraCertChain'",
    );
    refuse("ssl:443:certkeys=c.pem", "unknown option 'certkeys'; did you mean 'certKey'?");
    refuse(
        "ssl:443:sslmethod=TLSv1_METHOD",
        "leave out 'sslmethod': TLS 1.3 and 1.2 are spoken, whichever the client prefers",
    );
    refuse("ssl:443:dhParameters=dh.pem", "leave out 'dhParameters': keys are agreed upon by elliptic curves");
}

#[test]
fn sockets_of_systemd() {
    let check = |text: &str, printed: &str| {
        let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(endpoint.is_inherited());
        assert_eq!(endpoint.to_string(), printed);
        assert_eq!(endpoint.address(), &Address::Unix(Some(printed.into())), "a name of its own");
    };
    check("systemd:domain=INET:index=0", "systemd:domain=INET:index=0");
    check("systemd:INET6:name=web.socket", "systemd:domain=INET6:name=web.socket");
    check(r"systemd:UNIX:name=a\:b", r"systemd:domain=UNIX:name=a\:b");
    check("systemd", "systemd:index=0");
    check("systemd:index=3", "systemd:index=3");
    refuse("systemd:domain=INET:index=0:name=x", "give 'index' or 'name', not both: each says which socket it is");
    refuse("systemd:domain=INET:index=-1", "index '-1' is not a number; the first socket is 'index=0'");
    refuse(
        "systemd:domain=inet4",
        "domain 'inet4' is not one of 'INET', 'INET6', 'UNIX'; write for example 'systemd:domain=INET:index=0'",
    );
    refuse("systemd:INET:name=", "the name of the socket is missing");
    refuse("systemd:INET:idnex=0", "unknown option 'idnex'; did you mean 'index'?");
}

#[test]
fn ports_that_are_refused() {
    refuse("tcp:abc", "port 'abc' is not a number between 0 and 65535");
    refuse("tcp:65536", "port '65536' is not a number between 0 and 65535");
    refuse("tcp:-1", "port '-1' is not a number between 0 and 65535");
    refuse("tcp:+80", "port '+80' is not a number between 0 and 65535");
    refuse("tcp:", "port '' is not a number between 0 and 65535");
    refuse("tcp", "the port is missing; write for example 'tcp:8080:backlog=50'");
    refuse("tcp:backlog=5", "the port is missing; write for example 'tcp:8080:backlog=50'");
    refuse("tcp:127.0.0.1:8080", "'127.0.0.1' is where the port belongs; write 'tcp:8080:interface=127.0.0.1'");
    refuse(r"tcp6:\:\:1:8080", r"'::1' is where the port belongs; write 'tcp6:8080:interface=\:\:1'");
    refuse("tcp:127.0.0.1", "'127.0.0.1' is where the port belongs; write 'tcp:8080:interface=127.0.0.1'");
    refuse("tcp:8080:127.0.0.1", "'127.0.0.1' has no option name; did you mean 'interface=127.0.0.1'?");
}

#[test]
fn options_that_are_refused() {
    refuse("tcp:80:interfaces=::", "unknown option 'interfaces'; did you mean 'interface'?");
    refuse("tcp:80:mode=660", "unknown option 'mode'; known options are 'port', 'interface', 'backlog'");
    refuse("tcp:80:backlog=1:backlog=2", "option 'backlog' is given twice");
    refuse("tcp:80:port=81", "option 'port' is given twice");
    let backlog = "is not a number of connections, 1 or more; write for example 'backlog=50'";
    refuse("tcp:80:backlog=many", &format!("backlog 'many' {backlog}"));
    refuse("tcp:80:backlog=0", &format!("backlog '0' {backlog}"));
    refuse(
        "tcp:80:interface=localhost",
        "interface 'localhost' is a name, not an address; write 'interface=127.0.0.1'",
    );
    refuse("tcp:80:interface=eth0", "interface 'eth0' is not an IP address; write for example 'interface=127.0.0.1'");
    refuse("tcp6:80:interface=eth0", r"interface 'eth0' is not an IPv6 address; write for example 'interface=\:\:1'");
    refuse(
        "tcp6:80:interface=127.0.0.1",
        "interface '127.0.0.1' is not an IPv6 address; write 'tcp:80:interface=127.0.0.1'",
    );
    let link = "is not a number; write the index of the link, as 'ip link' shows it";
    refuse(r"tcp6:80:interface=fe80\:\:1%eth0", &format!("'eth0' in interface 'fe80::1%eth0' {link}"));
    refuse(
        "tcp6:80:interface=::1",
        "'' has no option name; options are written as name=value, '\\:' is a colon: 'tcp6:8080:backlog=50'",
    );
}

#[test]
fn unix_sockets_that_are_refused() {
    refuse("unix", "the address is missing; write for example 'unix:/run/web.sock:mode=660'");
    refuse("unix:", "the path of the UNIX socket is missing; write for example 'unix:/run/web.sock:mode=660'");
    let mode = "is not an octal file mode between 0 and 777; write for example 'mode=660'";
    refuse("unix:/x:mode=rw", &format!("mode 'rw' {mode}"));
    refuse("unix:/x:mode=888", &format!("mode '888' {mode}"));
    refuse("unix:/x:mode=1777", &format!("mode '1777' {mode}"));
    refuse("unix:/x\\", "'unix:/x\\' ends in a backslash; write '\\\\' for a backslash itself");
}

#[test]
fn an_error_is_one_line() {
    refuse(
        "t\ncp\u{1b}[31m:8080",
        "unknown endpoint type 't\\ncp\\u{1b}[31m'; known types are 'tcp', 'tcp6', 'unix', 'ssl', 'systemd'",
    );
}

#[test]
fn urls_are_ones_to_click() {
    let check = |text: &str, local: &str, url: &str| {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.url(&Address::Tcp(local.parse().unwrap())), url);
    };
    check("tcp:8080", "0.0.0.0:8080", "http://127.0.0.1:8080/");
    check("tcp:0:interface=127.0.0.1", "127.0.0.1:40123", "http://127.0.0.1:40123/");
    check("tcp:80:interface=10.0.0.7", "10.0.0.7:80", "http://10.0.0.7:80/");
    check("tcp6:8080", "[::]:8080", "http://[::1]:8080/");
    check("tcp6:8080", "[2001:db8::7]:8080", "http://[2001:db8::7]:8080/");
    check("ssl:443", "0.0.0.0:443", "https://127.0.0.1:443/");
    check(r"ssl:443:interface=\:\:1", "[::1]:443", "https://[::1]:443/");
    let unix: Endpoint = "unix:/run/web.sock".parse().unwrap();
    assert_eq!(unix.url(unix.address()), "unix:/run/web.sock");
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let tcp = any::<(IpAddr, u16)>().prop_map(|(ip, port)| Endpoint::tcp(SocketAddr::new(ip, port)));
    let scoped = any::<(Ipv6Addr, u16, u32)>()
        .prop_map(|(ip, port, scope)| Endpoint::tcp(SocketAddrV6::new(ip, port, 0, scope).into()));
    let everywhere = any::<(bool, u16)>().prop_map(|(v6, port)| {
        let ip = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Endpoint::tcp(SocketAddr::new(ip, port))
    });
    let unix = (r"[a-z/:=\\ %.\n]{1,20}", proptest::option::of(0..=0o777_u32))
        .prop_map(|(path, unix_mode)| Endpoint { unix_mode, ..Endpoint::unix(path) });
    let backlog = prop_oneof![Just(ListenOptions::default().backlog), 1..=u32::MAX];
    let bound = (prop_oneof![tcp.clone(), scoped, everywhere, unix], backlog.clone());
    let path = || r"[a-z/:=\\ %.]{1,20}".prop_map(PathBuf::from);
    let files = (path(), path(), proptest::option::of(path()));
    let ssl = (tcp, files, backlog).prop_map(|(endpoint, (certificate, private_key, chain), backlog)| {
        Endpoint { backlog, ..endpoint }.with_tls(TlsFiles { certificate, private_key, chain })
    });
    let domain = prop_oneof![Just(Domain::Inet), Just(Domain::Inet6), Just(Domain::Unix)];
    let which = prop_oneof![any::<usize>().prop_map(Which::Index), r"[a-z:=\\ .]{1,9}".prop_map(Which::Name)];
    let systemd =
        (proptest::option::of(domain), which).prop_map(|(domain, which)| Endpoint::systemd(Systemd { domain, which }));
    prop_oneof![bound.prop_map(|(endpoint, backlog)| Endpoint { backlog, ..endpoint }), ssl, systemd]
}

proptest! {
    #[test]
    fn what_is_printed_can_be_read_again(endpoint in endpoints()) {
        let text = endpoint.to_string();
        prop_assert_eq!(text.parse::<Endpoint>(), Ok(endpoint), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic_and_every_error_is_one_line(text in r"((tcp6?|unix|ssl|systemd):)?[a-z0-9:=\\%. \n]{0,30}|\PC*") {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint)),
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}
