//! What a request says, name by name. Fields are taken out one at a time, so that every mistake is found
//! and told at once, names nobody reads among them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Bytes, Payload};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use crate::problem::{Mistake, Problem};

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Most bytes.
    pub bytes: usize,
    /// Longest wait for the whole of it.
    pub time: Duration,
}

/// What is wrong with a name that is given twice.
pub(super) const TWICE: &str = "is given twice";

/// The names and values of a JSON object, those given twice too, of which a map would keep only the last.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// The names and values of a request.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    values: BTreeMap<String, Value>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    /// The fields of a JSON body.
    pub(crate) async fn of_body(
        request: &HttpRequest,
        body: Payload,
        limits: BodyLimits,
    ) -> Result<Self, Problem> {
        if !says_json(request) {
            return Err(Problem::NotJson);
        }
        Self::of_json(&read(body, limits).await?)
    }

    fn of_json(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Err(Problem::Malformed { line: 0, column: 0 });
        }
        match serde_json::from_slice(body) {
            Ok(Pairs(pairs)) => Ok(Self::of_pairs(pairs)),
            Err(error) if error.classify() == Category::Data => {
                Err(Problem::Invalid(vec![Mistake::new("the body", "must be a JSON object")]))
            }
            // Whoever sends nothing but white space ends at line 0 too.
            Err(error) => Err(Problem::Malformed { line: error.line(), column: error.column() }),
        }
    }

    /// The fields of a query string.
    pub(crate) fn of_query(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self::of_pairs(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))))
    }

    /// A name given twice is a mistake: which one counts would be a guess.
    fn of_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            if fields.values.insert(name.clone(), value).is_some() {
                fields.wrong(&name, TWICE);
            }
        }
        fields
    }

    /// Notes a mistake.
    pub(crate) fn wrong(&mut self, field: &str, detail: &str) {
        self.mistakes.push(Mistake::new(field, detail));
    }

    /// Takes a text that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.values.remove(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.wrong(name, "must be a string"),
            None => self.wrong(name, "is missing"),
        }
        None
    }

    /// Takes a text that must be there and mean something to `parse`; `expected` says what would.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        let parsed = parse(&self.text(name)?);
        if parsed.is_none() {
            self.wrong(name, expected);
        }
        parsed
    }

    /// The same for what may be absent; an empty value counts as absent.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        match self.values.get(name) {
            None => None,
            Some(Value::String(text)) if text.is_empty() => {
                self.values.remove(name);
                None
            }
            Some(_) => self.parsed(name, parse, expected),
        }
    }

    /// All mistakes, should there be any: those noted, and every name that was not taken.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let unread = std::mem::take(&mut self.values);
        self.mistakes.extend(unread.into_keys().map(|name| Mistake::new(name, "is not known here")));
        if self.mistakes.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.mistakes)) }
    }
}

fn says_json(request: &HttpRequest) -> bool {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = given.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn read(body: Payload, limits: BodyLimits) -> Result<Bytes, Problem> {
    let whole = tokio::time::timeout(limits.time, body.to_bytes_limited(limits.bytes)).await;
    match whole {
        Err(_) => Err(Problem::Timeout),
        Ok(Err(_)) => Err(Problem::TooLarge(limits.bytes)),
        // The connection broke: nobody hears the answer.
        Ok(Ok(Err(_))) => Err(Problem::Malformed { line: 0, column: 0 }),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(fields: Fields) -> Vec<String> {
        match fields.finish() {
            Err(Problem::Invalid(mistakes)) => {
                mistakes.into_iter().map(|it| format!("{} {}", it.field, it.detail)).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut fields = Fields::of_json(br#"{"body": 5, "subject": "x", "to": "y"}"#).unwrap();
        assert_eq!(fields.text("body"), None);
        assert_eq!(fields.text("line"), None);
        assert_eq!(
            mistakes(fields),
            ["body must be a string", "line is missing", "subject is not known here", "to is not known here"]
        );
    }

    #[test]
    fn broken_json_says_where_it_breaks() {
        let error = Fields::of_json(b"{\"body\":\n \"x\",,}").unwrap_err();
        assert_eq!(error, Problem::Malformed { line: 2, column: 6 });
    }

    #[test]
    fn a_name_given_twice_in_a_body_is_a_mistake() {
        let mut fields = Fields::of_json(br#"{"body": "yes", "body": "no"}"#).unwrap();
        fields.text("body");
        assert_eq!(mistakes(fields), ["body is given twice"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_told_so() {
        for body in ["[]", "\"x\"", "5", "null"] {
            let Err(problem) = Fields::of_json(body.as_bytes()) else { panic!("{body}") };
            assert_eq!(
                problem,
                Problem::Invalid(vec![Mistake::new("the body", "must be a JSON object")]),
                "{body}"
            );
        }
    }

    #[test]
    fn a_name_given_twice_in_a_query_is_a_mistake() {
        let mut fields = Fields::of_query("status=open&status=closed&limit=");
        fields.optional("status", |_| Some(()), "");
        assert_eq!(fields.optional("limit", |_| Some(()), ""), None);
        assert_eq!(mistakes(fields), ["status is given twice"]);
    }
}
