//! Header fields that are settled before it is known who answers.

use super::Call;
use super::follow::Rare;
use crate::http1::{BadResponse, ResponseHead};

impl Call {
    /// Has these header fields sent with the response, whoever makes it: what was settled before the call was
    /// [handed over](Self::hand_over). A response that has a field of the same name keeps its own, unless it is one that
    /// may stand there several times, as `Set-Cookie`. Before the response is begun; any thread.
    pub fn add_fields(&self, fields: Vec<(Vec<u8>, Vec<u8>)>) {
        if !fields.is_empty() {
            self.ask(|rare| rare.fields.extend(fields));
        }
    }
}

impl Rare {
    /// Adds the fields that were asked for to a head that has none of their names, but for those that may stand there
    /// several times.
    pub(super) fn dress(&self, head: &mut ResponseHead) -> Result<(), BadResponse> {
        let had: Vec<bool> = self.fields.iter().map(|(name, _)| head.has_field(name)).collect();
        for ((name, value), _) in self.fields.iter().zip(had).filter(|((name, _), had)| !had || is_list(name)) {
            head.push(name, value)?;
        }
        Ok(())
    }
}

/// Whether each field of this name counts for itself.
fn is_list(name: &[u8]) -> bool {
    [&b"set-cookie"[..], b"vary", b"link", b"www-authenticate"].iter().any(|list| name.eq_ignore_ascii_case(list))
}
