//! A webhook as Twilio sends it, and what ingest does with it: read the form, check the signature.

use std::hint::black_box;

use casewire_domain::directory::Algorithm;
use casewire_twilio::content::Content;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::{self, Keyring, SignedRequest};
use secrecy::SecretString;

const PUBLIC_URL: &str = "https://sms.example.org";
const TARGET: &str = "/inbound/main";
const TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A signed request, read once.
pub(crate) struct Sample {
    body: String,
    signature: String,
    content: Content,
    keys: Keyring,
}

impl Sample {
    /// The usual twenty parameters.
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let form: Parameters = [
            ("ToCountry", "US"),
            ("ToState", "WA"),
            ("SmsMessageSid", "SM0123456789abcdef0123456789abcdef"),
            ("NumMedia", "0"),
            ("ToCity", "SEATTLE"),
            ("FromZip", "98101"),
            ("SmsSid", "SM0123456789abcdef0123456789abcdef"),
            ("FromState", "WA"),
            ("SmsStatus", "received"),
            ("FromCity", "SEATTLE"),
            ("Body", "My heater is broken again – could somebody please look at it? 🔥"),
            ("FromCountry", "US"),
            ("To", "+15550001111"),
            ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
            ("ToZip", "98104"),
            ("NumSegments", "1"),
            ("MessageSid", "SM0123456789abcdef0123456789abcdef"),
            ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
            ("From", "+12065550100"),
            ("ApiVersion", "2010-04-01"),
        ]
        .into_iter()
        .collect();
        let token = SecretString::from("0123456789abcdef0123456789abcdef");
        let signature = signature::sign(&format!("{PUBLIC_URL}{TARGET}"), &form, &token, Algorithm::HmacSha1);
        let body = form.encode();
        let content = Content::read("POST", TARGET, TYPE, body.as_bytes(), 256)?;
        Ok(Self { body, signature, content, keys: Keyring::new(&[token], &[]) })
    }

    /// Reads the form.
    pub(crate) fn parse(&self) -> bool {
        Parameters::parse(black_box(self.body.as_bytes()), 256).is_ok_and(|form| form.len() == 20)
    }

    /// Checks the signature.
    pub(crate) fn verify(&self) -> bool {
        let request = SignedRequest {
            public_url: PUBLIC_URL,
            target: TARGET,
            content: black_box(&self.content),
            body: self.body.as_bytes(),
            signature: Some(&self.signature),
            settings: None,
        };
        signature::verify(&request, &self.keys).is_ok()
    }
}
