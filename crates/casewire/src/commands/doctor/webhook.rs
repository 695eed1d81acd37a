//! What a number at Twilio does with texts, against what casewire expects.

use casewire_domain::directory::Method;
use casewire_twilio::rest::Number;

use super::finding::{Finding, State};

/// How a number stands.
pub struct Verdict {
    pub state: State,
    /// Whether setting URL and method helps.
    pub fixable: bool,
    sentences: Vec<String>,
    mends: Vec<&'static str>,
}

/// The method to be set.
pub fn wanted(number: &Number, method: Method) -> &'static str {
    match (method, number.sms_method.as_deref()) {
        (Method::Get, _) | (Method::Any, Some("GET")) => "GET",
        _ => "POST",
    }
}

/// Judges everything about it that has to do with texts.
pub fn judge(number: &Number, url: &str, method: Method) -> Verdict {
    let mut verdict = Verdict { state: State::Ok, fixable: false, sentences: Vec::new(), mends: Vec::new() };
    let filled = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    if filled(&number.sms_application_sid).is_some() {
        let said = "an application handles its texts, whatever its own webhook says";
        verdict.add(State::Wrong, said, "take the application from the number in Twilio's console");
    }
    verdict.url(filled(&number.sms_url), url);
    let is = number.sms_method.as_deref().unwrap_or("POST");
    if !method.allows(is) {
        let said = format!("its webhook comes as {is}, which the line does not take: every text gets 405");
        verdict.fix(State::Wrong, said);
    }
    if let Some(fallback) = filled(&number.sms_fallback_url).filter(|fallback| bare(fallback) != bare(url)) {
        let said = format!(
            "its fallback is {}: what casewire does not answer in time goes there, and comes into its case only when \
             Twilio's list is compared",
            shown(&fallback)
        );
        verdict.add(State::Warn, said, "empty the fallback in Twilio's console, or enter the webhook's URL");
    }
    if filled(&number.status_callback).is_some_and(|callback| bare(&callback) == bare(url)) {
        let said = "its status callback, which tells of calls, goes to the webhook for texts";
        verdict.add(State::Warn, said, "empty the status callback in Twilio's console");
    }
    verdict
}

impl Verdict {
    fn url(&mut self, is: Option<String>, url: &str) {
        match is {
            None => self.fix(State::Wrong, "Twilio delivers its texts nowhere"),
            Some(is) if is == url => {}
            Some(is) if bare(&is) == bare(url) => self.fix(
                State::Warn,
                "the part of its webhook URL after # is missing or another: Twilio does not try again when nobody answers",
            ),
            Some(is) => self.fix(State::Wrong, format!("Twilio delivers its texts to {}, not here", shown(&is))),
        }
    }

    fn say(&mut self, state: State, said: impl Into<String>) {
        if self.state != State::Wrong {
            self.state = state;
        }
        self.sentences.push(said.into());
    }

    fn add(&mut self, state: State, said: impl Into<String>, mend: &'static str) {
        self.say(state, said);
        self.mends.push(mend);
    }

    fn fix(&mut self, state: State, said: impl Into<String>) {
        self.say(state, said);
        self.fixable = true;
    }

    pub fn found(&self) -> String {
        match self.sentences.as_slice() {
            [] => "Twilio delivers its texts here".to_owned(),
            sentences => sentences.join("; "),
        }
    }

    /// `program` is how this program is called here, with what tells it where it works.
    pub fn finding(&self, program: &str) -> Finding {
        let fix = self.fixable.then(|| format!("{program} doctor --fix"));
        let mends: Vec<String> =
            fix.into_iter().chain(self.mends.iter().map(|&mend| mend.to_owned())).collect();
        let mend = (!mends.is_empty()).then(|| mends.join("; "));
        Finding { mend, ..Finding::new("", self.state, self.found()) }
    }
}

/// A URL without its fragment.
fn bare(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// A URL without what may be secret in it: a password, and what is asked.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://sms.example.org/inbound/main#rc=5&rp=all";

    fn verdict(change: Value, method: Method) -> Verdict {
        let mut number = json!({ "sid": "PN1", "sms_url": URL, "sms_method": "POST" });
        for (name, value) in change.as_object().unwrap() {
            number[name] = value.clone();
        }
        judge(&serde_json::from_value(number).unwrap(), URL, method)
    }

    #[test]
    fn what_is_as_it_should_be_is_ok() {
        for same in [
            json!({}),
            json!({ "sms_fallback_url": "", "status_callback": "", "sms_application_sid": null }),
            json!({ "sms_fallback_url": "https://sms.example.org/inbound/main" }),
            json!({ "status_callback": "https://elsewhere.example/calls" }),
        ] {
            let verdict = verdict(same, Method::Post);
            assert_eq!((verdict.state, verdict.fixable), (State::Ok, false), "{}", verdict.found());
        }
        assert_eq!(verdict(json!({ "sms_method": "GET" }), Method::Any).state, State::Ok);
    }

    #[test]
    fn each_thing_that_is_not_is_named_and_mended() {
        for (change, state, fixable, said) in [
            (json!({ "sms_url": "" }), State::Wrong, true, "nowhere"),
            (
                json!({ "sms_url": "https://u:p@old.example/x?key=1" }),
                State::Wrong,
                true,
                "https://old.example/x,",
            ),
            (json!({ "sms_url": "https://sms.example.org/inbound/main" }), State::Warn, true, "after #"),
            (json!({ "sms_method": "GET" }), State::Wrong, true, "comes as GET"),
            (json!({ "sms_application_sid": "AP1" }), State::Wrong, false, "an application"),
            (json!({ "sms_fallback_url": "https://other.example/" }), State::Warn, false, "its fallback"),
            (
                json!({ "status_callback": "https://sms.example.org/inbound/main" }),
                State::Warn,
                false,
                "tells of calls",
            ),
        ] {
            let verdict = verdict(change, Method::Post);
            assert_eq!((verdict.state, verdict.fixable), (state, fixable), "{}", verdict.found());
            let finding = verdict.finding("casewire");
            assert!(finding.found.contains(said) && finding.mend.is_some(), "{finding:?}");
        }
        let both = verdict(json!({ "sms_application_sid": "AP1", "sms_url": "" }), Method::Post);
        assert_eq!(both.finding("casewire").mend.unwrap().matches(';').count(), 1, "each way is named");
    }
}
