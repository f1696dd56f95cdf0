//! The tables of cases in `data`, against a whole server: in the simulation, whole, cut in two at every byte and byte by
//! byte; all at once over bad networks; and on real sockets. No application ever sees what stands behind a refusal.
#![allow(clippy::unwrap_used)]

mod answers;
mod requirements;
mod simulated;
mod sockets;
mod table;

/// One test a table, so that they run side by side and name what broke.
macro_rules! tables {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                simulated::check_cuts(&table::load(concat!(stringify!($name), ".txt")));
            }
        )*

        #[test]
        fn every_table_is_run() {
            assert_eq!(table::names(), [$(concat!(stringify!($name), ".txt")),*]);
        }
    };
}

tables! {
    chunked
    connection
    content_length
    expect
    fields
    host
    incomplete
    limits
    line_ends
    pipelining
    request_line
    smuggling
    target
    transfer_encoding
}

#[test]
fn all_at_once_over_bad_networks() {
    simulated::check_crowds(&table::all());
}

/// Every answer is read strictly: among others it has one Date (RFC 9110 section 6.6.1).
#[test]
fn on_real_sockets() {
    sockets::check(&table::all());
}

#[test]
fn there_are_hundreds_and_no_two_have_one_name() {
    assert!(table::all().len() >= 500, "{}", table::all().len());
}
