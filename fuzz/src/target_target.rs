use handwound_reactor::Time;
use handwound_wsgi::http1::{Connection, Event, RequestHead, TargetForm, percent_decode};

use crate::drive::Cuts;
use crate::{config, control, drive, url};

const METHODS: [&str; 4] = ["GET", "OPTIONS", "CONNECT", "PUT"];

/// `flags, cut`, then a request target and, behind a line feed, a `Host`.
pub fn target(data: &[u8]) {
    let ([flags, cut], text) = control::<2>(data);
    check_decoding(text, usize::from(cut));
    let mut halves = text.splitn(2, |&byte| byte == b'\n');
    let (target, host) = (halves.next().unwrap_or_default(), halves.next().unwrap_or(b"h"));
    // These end a target or a line, so they would be about something else.
    if target.iter().any(|byte| b" \r".contains(byte)) || host.iter().any(|byte| b"\r\n".contains(byte)) {
        return;
    }
    let method = METHODS[usize::from(flags & 3)].as_bytes();
    let request = [method, b" ", target, b" HTTP/1.1\r\nHost:", host, b"\r\n\r\n"].concat();
    drive::check(&request, Cuts::Pieces([flags, cut, 7]), false, &config(0));
    if let Some(head) = accepted(&request) {
        check_parts(&head);
    }
}

fn accepted(request: &[u8]) -> Option<RequestHead> {
    let mut connection = Connection::new(config(0), Time::ZERO);
    connection.receive(request, Time::ZERO);
    match connection.poll_event(drive::wall) {
        Some(Event::Head(head)) => Some(*head),
        _ => None,
    }
}

/// The parts are the target, put together again; what they decode to is harmless.
fn check_parts(head: &RequestHead) {
    let target = head.target();
    let tail = match head.query() {
        Some(query) => [head.path(), b"?", query].concat(),
        None => head.path().to_vec(),
    };
    let host = head.host();
    match head.target_form() {
        TargetForm::Origin => assert_eq!(target, tail),
        TargetForm::Asterisk => assert_eq!((target, head.path(), head.query()), (&b"*"[..], &b"*"[..], None)),
        TargetForm::Absolute => {
            let host = host.expect("an absolute target has a host");
            let start = target.iter().position(|&byte| byte == b':').expect("a scheme") + 3;
            let rest = target[start..].strip_prefix(host.text).expect("the authority comes first");
            assert!(rest == tail || [b"/", rest].concat() == tail);
            assert_eq!(head.get("host"), Some(host.text));
        }
    }
    let mut decoded = Vec::new();
    percent_decode(head.path(), &mut decoded);
    assert!(!decoded.contains(&0), "a NUL in a decoded path");
    assert!(decoded.starts_with(b"/") || head.target_form() == TargetForm::Asterisk);
    let Some(host) = host else { return };
    let name = host.name;
    assert!(host.text.strip_prefix(b"[").unwrap_or(host.text).starts_with(name));
    assert!(!name.iter().any(|byte| b"/?#@ \\\t".contains(byte) || *byte < 0x20), "a name that ends elsewhere");
    assert!(host.port.is_none() || host.text.contains(&b':'));
}

fn check_decoding(text: &[u8], cut: usize) {
    let decode = |text: &[u8]| {
        let mut into = b"kept".to_vec();
        percent_decode(text, &mut into);
        into.strip_prefix(b"kept").expect("it appends").to_vec()
    };
    let decoded = decode(text);
    assert_eq!(decoded, url::percent_decoded(text));
    assert!(decoded.len() <= text.len());
    if !text.contains(&b'%') {
        assert_eq!(decoded, text);
    }
    let encoded: String = text.iter().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(decode(encoded.as_bytes()), text, "what was encoded comes back");
    assert_eq!(decode(encoded.to_lowercase().as_bytes()), text);
    // Cut where no encoding is under way, the halves decode like the whole.
    let (left, right) = text.split_at(cut.min(text.len()));
    if !left[left.len().saturating_sub(2)..].contains(&b'%') {
        assert_eq!([decode(left), decode(right)].concat(), decoded);
    }
}
