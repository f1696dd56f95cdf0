use crate::drive::{self, Cuts};
use crate::{config, control};

/// `flags, cut, cut, cut`, then what a client sends. See [`drive::check`].
pub fn head(data: &[u8]) {
    let ([flags, cuts @ ..], stream) = control::<4>(data);
    drive::check(stream, Cuts::new(flags & 16 != 0, cuts), flags & 4 != 0, &config(flags));
}
