//! What a worker asks of the provider.

use async_trait::async_trait;
use casewire_domain::Media;
use casewire_twilio::rest::{self, Client, Credentials, List, NextPage, Page, ReadError, SendOutcome};

/// The provider's API as a worker sees it.
#[async_trait]
pub trait Provider: Send + Sync {
    /// POSTs one text, once: what came of it says whether it may be repeated.
    async fn send(&self, credentials: &Credentials, text: &rest::Send<'_>) -> SendOutcome;

    /// The first page of a list of messages.
    async fn list(&self, credentials: &Credentials, list: &List<'_>) -> Result<Page, ReadError>;

    /// The page after another.
    async fn list_next(&self, credentials: &Credentials, next: &NextPage) -> Result<Page, ReadError>;

    /// The files of a message.
    async fn media(&self, credentials: &Credentials, sid: &str) -> Result<Vec<Media>, ReadError>;
}

#[async_trait]
impl Provider for Client {
    async fn send(&self, credentials: &Credentials, text: &rest::Send<'_>) -> SendOutcome {
        Client::send(self, credentials, text).await
    }

    async fn list(&self, credentials: &Credentials, list: &List<'_>) -> Result<Page, ReadError> {
        Client::list(self, credentials, list).await
    }

    async fn list_next(&self, credentials: &Credentials, next: &NextPage) -> Result<Page, ReadError> {
        Client::list_next(self, credentials, next).await
    }

    async fn media(&self, credentials: &Credentials, sid: &str) -> Result<Vec<Media>, ReadError> {
        Client::media(self, credentials, sid).await
    }
}
