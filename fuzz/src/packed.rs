//! Corpora as text: one input a line, printable ASCII as it is and other bytes escaped, so that a change of a corpus
//! can be read and many small inputs are one file.

/// One line for `input`.
pub fn pack(input: &[u8]) -> String {
    input.escape_ascii().to_string()
}

/// The input of one line.
///
/// # Errors
/// The escape that is none.
pub fn unpack(line: &str) -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        input.extend_from_slice(plain.as_bytes());
        let (byte, length) = match escape.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [byte @ (b'\\' | b'\'' | b'"'), ..] => (*byte, 1),
            [b'x', ..] => {
                let digits = escape.get(1..3).unwrap_or_default();
                (u8::from_str_radix(digits, 16).map_err(|_| format!("no byte: \\x{digits}"))?, 3)
            }
            _ => return Err(format!("no escape: \\{}", escape.chars().take(1).collect::<String>())),
        };
        input.push(byte);
        rest = &escape[length..];
    }
    input.extend_from_slice(rest.as_bytes());
    Ok(input)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_byte_comes_back_from_one_line() {
        let all: Vec<u8> = (0..=255).collect();
        let line = pack(&all);
        assert!(!line.contains('\n') && line.is_ascii());
        assert_eq!(unpack(&line).unwrap(), all);
        assert!(unpack(r"a\q").is_err() && unpack(r"\x0").is_err() && unpack("\\").is_err());
    }
}
