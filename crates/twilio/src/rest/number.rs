//! Twilio's IncomingPhoneNumbers resource: what a number of an account does with the texts it gets. Its answers hold
//! URLs and no texts; the number itself is asked for and never told.

use std::fmt;

use casewire_domain::Address;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::answer::Trouble;
use super::read::{ReadError, read};
use super::{Client, Credentials};

/// What a number does with the texts it gets.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Number {
    /// The provider's id of it: `PN` and 32 hex digits.
    pub sid: String,
    /// The number.
    phone_number: Option<String>,
    /// Where a text is delivered; empty or none where nowhere.
    pub sms_url: Option<String>,
    /// How: `GET` or `POST`.
    pub sms_method: Option<String>,
    /// Where a text is delivered when `sms_url` fails.
    pub sms_fallback_url: Option<String>,
    /// The application whose URLs count instead of all of these.
    pub sms_application_sid: Option<String>,
    /// Where the provider reports on calls to the number.
    pub status_callback: Option<String>,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.sid)
    }
}

/// What was found, and when by the provider's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundNumber {
    /// The number; none where the account has no such number.
    pub number: Option<Number>,
    /// The time the answer bears, in whole seconds.
    pub at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct WireNumbers {
    incoming_phone_numbers: Vec<Number>,
}

impl Client {
    /// The account's number with this address.
    pub async fn number(
        &self,
        credentials: &Credentials,
        address: &Address,
    ) -> Result<FoundNumber, ReadError> {
        let mut url = self.url(credentials, &["IncomingPhoneNumbers.json"]);
        url.query_pairs_mut().append_pair("PhoneNumber", address.reveal()).append_pair("PageSize", "20");
        let answer = self.call(self.http.get(url), credentials).await?;
        let WireNumbers { incoming_phone_numbers: numbers } = read(&answer)?;
        // The provider finds parts of numbers, too.
        let same = |number: &Number| number.phone_number.as_deref() == Some(address.reveal());
        Ok(FoundNumber { number: numbers.into_iter().find(same), at: answer.at })
    }

    /// When it is by the provider's clock; an error where the credentials are refused or nobody answers.
    pub async fn clock(&self, credentials: &Credentials) -> Result<Option<DateTime<Utc>>, ReadError> {
        let mut url = self.url(credentials, &["IncomingPhoneNumbers.json"]);
        url.query_pairs_mut().append_pair("PageSize", "1");
        let answer = self.call(self.http.get(url), credentials).await?;
        read::<WireNumbers>(&answer)?;
        Ok(answer.at)
    }

    /// Has the provider deliver the number's texts to this URL with this method (`GET` or `POST`); what the number does
    /// then. An application that is set goes before both, still.
    pub async fn set_webhook(
        &self,
        credentials: &Credentials,
        number: &Number,
        url: &str,
        method: &str,
    ) -> Result<Number, ReadError> {
        let form = [("SmsUrl", url), ("SmsMethod", method)];
        let file = format!("{}.json", number.sid);
        let request = self.http.post(self.url(credentials, &["IncomingPhoneNumbers", &file])).form(&form);
        let changed: Number = read(&self.call(request, credentials).await?)?;
        if changed.sid == number.sid { Ok(changed) } else { Err(Trouble::UnreadableAnswer.into()) }
    }
}
