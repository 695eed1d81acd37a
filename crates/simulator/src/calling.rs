//! Calling a line's webhook for a text, and its fallback where that fails.

use casewire_domain::{Keyword, Text};
use casewire_twilio::parameters::Parameters;
use chrono::Utc;
use futures_util::future::join_all;

use crate::handset::Origin;
use crate::ledger::TextEntry;
use crate::message::{Direction, Envelope, Fate, Message, Status};
use crate::segments::segments;
use crate::simulator::Simulator;
use crate::texting::{SentText, TextJob};
use crate::webhook::{Meaning, Outcome, Request};

impl Simulator {
    /// Delivers a text's webhook, and its fallback where that fails.
    pub(crate) async fn deliver_text(self, job: TextJob) {
        let deliveries = (0..=job.copies).map(|_| self.call(&job, &job.url, job.parameters.clone()));
        let webhooks = join_all(deliveries).await;
        let failure = webhooks.iter().find_map(|outcome| outcome.error_code);
        let fallback = match (&job.fallback_url, failure) {
            (Some(fallback_url), Some(code)) => {
                let mut parameters = job.parameters.clone();
                parameters.push("ErrorCode", &code.to_string());
                parameters.push("ErrorUrl", job.url.split('#').next().unwrap_or_default());
                Some(self.call(&job, fallback_url, parameters).await)
            }
            _ => None,
        };
        let text = &job.text;
        let entry = self.state().ledger.texts.write(|entry| TextEntry {
            entry,
            sid: text.sid,
            account_sid: text.account.clone(),
            from: text.from.clone(),
            to: text.to.clone(),
            body: text.body.clone(),
            sent_at: text.created,
            webhooks,
            fallback,
        });
        // Whoever asked may have gone; the ledger knows.
        let _ = job.answer.send(SentText {
            sid: text.sid,
            segments: segments(text.body.reveal()),
            keyword: job.keyword.map(name),
            taken: entry.taken(),
            webhooks: entry.webhooks.clone(),
            fallback: entry.fallback.clone(),
        });
    }

    async fn call(&self, job: &TextJob, url: &str, parameters: Parameters) -> Outcome {
        let idempotency_token = self.state().new_idempotency_token();
        let request = Request::new(job.method, url, parameters, job.token.clone(), idempotency_token);
        let (mut outcome, answer) = match request {
            Ok(request) => self.courier().deliver(&request).await,
            Err(code) => return Outcome::unsent(code),
        };
        match answer.as_ref().map(Meaning::of) {
            Some(Meaning::Broken(code)) => outcome.error_code = Some(code),
            Some(Meaning::Reply(reply)) => self.reply(&job.text, reply),
            Some(Meaning::Twiml) | None => {}
        }
        outcome
    }

    /// An answer in plain text goes to the person, which its author seldom meant.
    fn reply(&self, text: &Envelope, body: String) {
        let mut state = self.state();
        let reply = Envelope {
            sid: state.new_sid(false),
            account: text.account.clone(),
            service: text.service.clone(),
            direction: Direction::OutboundReply,
            from: text.to.clone(),
            to: text.from.clone(),
            body: Text::new(body),
            media: Vec::new(),
            status_callback: None,
            created: Utc::now(),
        };
        state.arrive(&reply, Origin::WebhookAnswer, reply.created);
        state.keep(Message::new(reply, Status::Delivered, Fate::Delivered));
        drop(state);
        self.tell_handsets();
    }
}

fn name(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => "stop",
        Keyword::Start => "start",
        Keyword::Help => "help",
    }
}
