//! The one cryptography provider of the process.

/// Makes ring the provider of every TLS connection. Call it first thing in `main` and in every test that makes an
/// HTTP or NATS client: such a client panics without a provider, even for plain connections. Further calls do
/// nothing.
pub fn install_provider() {
    // An error says that one is installed already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
