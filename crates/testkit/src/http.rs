//! An HTTP client for tests.

use std::time::Duration;

use anyhow::Result;

/// A client with a ten-second limit and no redirects. Chooses the TLS provider for the whole process first, because
/// reqwest panics without one, even for plain HTTP.
pub fn client() -> Result<reqwest::Client> {
    install_tls();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(client)
}

/// Makes `ring` the process's TLS provider, unless one is chosen already.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
