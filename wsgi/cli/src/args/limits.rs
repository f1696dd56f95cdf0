//! Limits and timeouts of HTTP.

use std::time::Duration;

use clap::Args;
use handwound_wsgi::SiteConfig;

use crate::values;

/// Limits and timeouts of HTTP.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(next_help_heading = "Limits (BYTES take k, M and G)")]
pub struct Http {
    /// Whether the letter counts; set from `--strict`.
    #[arg(skip)]
    pub strict: bool,

    /// The largest request head; 64 bytes to 1G.
    #[arg(long, value_name = "BYTES", default_value = "64k", value_parser = values::head_bytes)]
    pub head_max: usize,

    /// The largest request body.
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = values::bytes)]
    pub body_max: u64,

    /// How much of a request body is kept in memory; more goes to a temporary file.
    #[arg(long, value_name = "BYTES", default_value = "512k", value_parser = values::bytes)]
    pub body_memory: u64,

    /// How long a client may take to send a request head.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = values::seconds)]
    pub head_timeout: Duration,

    /// How long a client may pause while sending a request body.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = values::seconds)]
    pub body_timeout: Duration,

    /// How long a connection may stay open without a request.
    #[arg(long, alias = "keep-alive", value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    pub idle_timeout: Duration,

    /// How long a client may take next to nothing of a response that waits for it.
    ///
    /// That is less than 240 bytes for each second of this time, and less than there is.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub send_timeout: Duration,
}

impl Http {
    /// The same as the bounds of a site.
    pub fn site_config(&self) -> SiteConfig {
        let mut config = SiteConfig::default();
        config.http.refuse_brackets_in_targets = self.strict;
        config.http.head_bytes_max = self.head_max;
        config.http.body_bytes_max = self.body_max;
        config.http.head_timeout = self.head_timeout;
        config.http.body_timeout = self.body_timeout;
        config.http.idle_timeout = self.idle_timeout;
        config.body_memory_bytes_max = usize::try_from(self.body_memory).unwrap_or(usize::MAX);
        config.send_timeout = self.send_timeout;
        config
    }
}
