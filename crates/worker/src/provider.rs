//! What a worker asks of the provider.

use async_trait::async_trait;
use casewire_twilio::rest::{self, Client, Credentials, SendOutcome};

/// The provider's API as a worker sees it.
#[async_trait]
pub trait Provider: Send + Sync {
    /// POSTs one text, once: what came of it says whether it may be repeated.
    async fn send(&self, credentials: &Credentials, text: &rest::Send<'_>) -> SendOutcome;
}

#[async_trait]
impl Provider for Client {
    async fn send(&self, credentials: &Credentials, text: &rest::Send<'_>) -> SendOutcome {
        Client::send(self, credentials, text).await
    }
}
