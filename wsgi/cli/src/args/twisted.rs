//! The options that are those of `twistd web`: files, scripts and HTTPS.

use std::path::PathBuf;

use clap::Args;
use handwound_reactor::TlsFiles;

use crate::values;

/// How files and scripts are served.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Files (with --path)")]
pub struct Files {
    /// A file name that stands for its folder; may be given several times, the first that is there counts [default:
    /// index, index.html, index.htm, index.rpy].
    #[arg(short, long, value_name = "NAME")]
    pub index: Vec<String>,

    /// The type of files whose ending says nothing [default: text/html].
    #[arg(short, long, value_name = "TYPE", value_parser = values::mime_type)]
    pub mime_type: Option<String>,

    /// An ending that may be left out of a URL, as `.html`; may be given several times, the first that fits counts.
    #[arg(long, value_name = "EXT")]
    pub ignore_ext: Vec<String>,

    /// Any ending may be left out of a URL.
    #[arg(long)]
    pub allow_ignore_ext: bool,

    /// Show tracebacks to clients. They may contain what clients should not see.
    #[arg(long)]
    pub display_tracebacks: bool,

    /// As is the default.
    #[arg(short = 'n', long, hide = true, conflicts_with = "display_tracebacks")]
    pub notracebacks: bool,
}

/// HTTPS beside HTTP.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "HTTPS")]
pub struct Https {
    /// Listen for HTTPS on this port.
    #[arg(long, value_name = "PORT")]
    pub https: Option<u16>,

    /// The certificate, and behind it those that lead to its root, as PEM [default: server.pem]. Without `--https`, it is
    /// that of all addresses of `--bind`.
    #[arg(short, long, visible_alias = "certfile", value_name = "FILE", value_parser = values::certificate)]
    pub certificate: Option<PathBuf>,

    /// The certificate's private key, as PEM [default: the file of the certificate].
    #[arg(short = 'k', long, visible_alias = "keyfile", value_name = "FILE", value_parser = values::private_key)]
    pub privkey: Option<PathBuf>,
}

impl Https {
    /// The files, if any is named.
    pub fn files(&self) -> Option<TlsFiles> {
        if self.certificate.is_none() && self.privkey.is_none() {
            return None;
        }
        let certificate = self.certificate.clone().unwrap_or_else(|| "server.pem".into());
        Some(Https::default_files(certificate, self.privkey.clone()))
    }

    /// Where nothing else is said, the key stands in the file of the certificate.
    pub(super) fn default_files(certificate: PathBuf, privkey: Option<PathBuf>) -> TlsFiles {
        TlsFiles { private_key: privkey.unwrap_or_else(|| certificate.clone()), certificate, chain: None }
    }
}
