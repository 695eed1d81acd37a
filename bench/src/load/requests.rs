//! Requests as Twilio sends them, signed, made before any clock starts.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use casewire_domain::directory::Algorithm;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::{HEADER, sign};
use secrecy::SecretString;

use super::dice::{Dice, Senders};

/// Requests, one after the other in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    fn push(&mut self, request: &[u8]) {
        self.bytes.extend_from_slice(request);
        self.ends.push(self.bytes.len());
    }

    /// A GET of the API.
    pub(crate) fn push_get(&mut self, target: &str, bearer: &str) {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n\r\n");
        self.push(request.as_bytes());
    }
}

/// Whose webhooks they are.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What the signature covers before the target.
    pub(crate) public_url: String,
    pub(crate) id: String,
    pub(crate) account_sid: String,
    pub(crate) token: SecretString,
}

/// One text's webhook.
pub(crate) struct Text {
    pub(crate) sid: String,
    pub(crate) from: String,
    pub(crate) body: String,
}

/// Makes texts, each with a SID of its own.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    line: Line,
    senders: Senders,
    dice: Dice,
}

impl Texts {
    pub(crate) fn new(line: Line, senders: Senders) -> Self {
        Self { line, senders, dice: Dice::new(fresh()) }
    }

    /// The path of the line's webhook.
    pub(crate) fn target(&self) -> String {
        format!("/inbound/{}", self.line.id)
    }

    pub(crate) fn text(&mut self) -> Text {
        let sid = format!("SM{:016x}{:016x}", self.dice.next(), fresh());
        let from = format!("+1206{:07}", 2_000_000 + self.senders.draw(&mut self.dice));
        // No two of a batch are likely to be the same.
        let flat = self.dice.next() % 1_000_000;
        let said =
            format!("My heater is broken again, and it is cold. Could you look at it in flat {flat:06}?");
        let form = [
            ("ToCountry", "US"),
            ("ToState", "WA"),
            ("SmsMessageSid", sid.as_str()),
            ("NumMedia", "0"),
            ("ToCity", "SEATTLE"),
            ("FromZip", "98101"),
            ("SmsSid", &sid),
            ("FromState", "WA"),
            ("SmsStatus", "received"),
            ("FromCity", "SEATTLE"),
            ("Body", &said),
            ("FromCountry", "US"),
            ("To", "+15550001111"),
            ("ToZip", "98104"),
            ("NumSegments", "1"),
            ("MessageSid", &sid),
            ("AccountSid", &self.line.account_sid),
            ("From", &from),
            ("ApiVersion", "2010-04-01"),
        ];
        let form: Parameters = form.into_iter().collect();
        Text { body: form.encode(), from, sid }
    }

    /// So many signed webhooks.
    pub(crate) fn requests(&mut self, count: usize) -> Requests {
        self.requests_with_sids(count).0
    }

    /// The same, and the SIDs of their texts.
    pub(crate) fn requests_with_sids(&mut self, count: usize) -> (Requests, Vec<String>) {
        let target = self.target();
        let url = format!("{}{target}", self.line.public_url);
        let host = self.line.public_url.split("://").nth(1).unwrap_or_default().to_owned();
        let (mut all, mut sids, mut request) = (Requests::default(), Vec::new(), String::new());
        for _ in 0..count {
            let Text { sid, body, .. } = self.text();
            // Reading back its own encoding cannot fail; a signature of nothing would be refused.
            let form = Parameters::parse(body.as_bytes(), usize::MAX).unwrap_or_default();
            let signature = sign(&url, &form, &self.line.token, Algorithm::HmacSha1);
            request.clear();
            let _ = write!(
                request,
                "POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
                 Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: {}\r\n\
                 I-Twilio-Idempotency-Token: {:032x}\r\n{HEADER}: {signature}\r\n\r\n{body}",
                body.len(),
                self.dice.next(),
            );
            all.push(request.as_bytes());
            sids.push(sid);
        }
        (all, sids)
    }
}

/// A number that no other run of this machine has: the time it began, then counted on.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let began = || u64::try_from(chrono::Utc::now().timestamp_micros()).unwrap_or_default() << 8;
    let _ = NEXT.compare_exchange(0, began(), Ordering::Relaxed, Ordering::Relaxed);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn texts() -> Texts {
        let line = Line {
            public_url: "https://bench.example".into(),
            id: "main".into(),
            account_sid: "AC00000000000000000000000000000001".into(),
            token: "the-auth-token".into(),
        };
        Texts::new(line, Senders::new(10))
    }

    #[test]
    fn requests_are_whole_and_none_is_the_same() {
        let requests = texts().requests(100);
        let all: HashSet<&[u8]> = (0..requests.len()).filter_map(|index| requests.get(index)).collect();
        assert_eq!(all.len(), 100);
        for request in all {
            let text = std::str::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /inbound/main HTTP/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        }
        assert!(requests.get(100).is_none());
    }

    #[test]
    fn texts_of_different_makers_have_different_sids() {
        let (mut one, mut other) = (texts(), texts());
        let sids: HashSet<String> = (0..50).flat_map(|_| [one.text().sid, other.text().sid]).collect();
        assert_eq!(sids.len(), 100);
    }
}
