//! The files of a message: a list has only their number.

use casewire_domain::Media;
use serde::Deserialize;

use super::answer::Trouble;
use super::read::{ReadError, read};
use super::{Client, Credentials};

/// A message has at most ten files (Twilio, Media resource), so that one page holds them all.
const FILES: &str = "50";

#[derive(Deserialize)]
struct WireList {
    media_list: Vec<WireMedia>,
}

#[derive(Deserialize)]
struct WireMedia {
    sid: String,
    content_type: Option<String>,
}

impl Client {
    /// The files of the message of this id, at the URLs a webhook gives for them; none when it is gone.
    pub async fn media(&self, credentials: &Credentials, sid: &str) -> Result<Vec<Media>, ReadError> {
        let mut url = self.url(credentials, &["Messages", sid, "Media.json"]);
        url.query_pairs_mut().append_pair("PageSize", FILES);
        let answer = self.call(self.http.get(url), credentials).await?;
        if answer.status == reqwest::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let list: WireList = read(&answer)?;
        let file = |file: WireMedia| {
            // It becomes part of a URL: what an answer says must not lead that elsewhere.
            let digits =
                file.sid.strip_prefix("ME").filter(|id| id.len() == 32).ok_or(Trouble::UnreadableAnswer)?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Trouble::UnreadableAnswer);
            }
            let url = self.url(credentials, &["Messages", sid, "Media", &file.sid]);
            Ok(Media { url: url.into(), content_type: file.content_type.unwrap_or_default() })
        };
        Ok(list.media_list.into_iter().map(file).collect::<Result<_, Trouble>>()?)
    }
}
