use crate::{config, control, drive};

/// `flags, cut, cut, cut`, then what a client sends. See [`drive::check`].
pub fn head(data: &[u8]) {
    let ([flags, cuts @ ..], stream) = control::<4>(data);
    let ended = flags & 4 != 0;
    let log = drive::check(stream, cuts, ended, config(flags));
    if ended || log.refused.is_none() {
        return;
    }
    // Refused stays refused, whatever follows.
    let longer = [stream, b"\r\n\r\nGET /late HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    let again = drive::drive(&longer, drive::cuts(cuts), true, &config(flags).into());
    assert_eq!(again, log, "what follows a refusal changes it");
}
