//! What `GET /cases` may be asked.

use casewire_domain::case::CaseStatus;
use casewire_domain::{Address, Region};
use casewire_store::view::{CaseFilter, Cursor};
use chrono::DateTime;
use serde::Deserialize;
use utoipa::IntoParams;

use super::fields::Fields;
use crate::problem::Problem;

/// Cases on a page, unless told otherwise: what fills a screen.
const USUAL: u64 = 50;
/// Most cases on a page: each costs the database a look for its newest text.
const MOST: u64 = 200;

/// The parameters, as the description tells them; [`ListQuery`] reads them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name, so that every mistake is found and not only the first")]
pub(crate) struct ListParameters {
    /// Only cases with this status: `open`, `pending` or `closed`.
    status: Option<String>,
    /// Only cases of this contact: its id, or its address (`+12065550100`, `(206) 555-0100`); a number without a
    /// country code is read as one of the US.
    contact: Option<String>,
    /// Only cases of this line: its webhook id.
    line: Option<String>,
    /// How many, from 1 to 200; 50 unless told otherwise.
    limit: Option<u64>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What to list.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(super) filter: CaseFilter,
    pub(super) limit: u64,
    pub(super) after: Option<Cursor>,
}

impl ListQuery {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut fields = Fields::of_query(query);
        let any = |text: &str| Some(text.to_owned());
        let filter = CaseFilter {
            status: fields.optional("status", CaseStatus::parse, "must be open, pending or closed"),
            contact: fields.optional("contact", contact, "must be a contact's id or address"),
            line: fields.optional("line", any, ""),
        };
        let size = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        let limit = fields.optional("limit", size, "must be a number from 1 to 200").unwrap_or(USUAL);
        let after = fields.optional("after", cursor, "must be the `next` of an earlier answer");
        fields.finish()?;
        Ok(Self { filter, limit, after })
    }
}

/// A contact as the store knows it. In a query string a plus sign means a space, and hardly anybody who types a
/// number escapes it; where a number begins, after a channel too, no space can be meant.
fn contact(text: &str) -> Option<String> {
    let (channel, number) = text.split_at(text.find(':').map_or(0, |colon| colon + 1));
    let unescaped = number.strip_prefix(' ').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let given = unescaped.map_or_else(|| text.to_owned(), |digits| format!("{channel}+{digits}"));
    // What is no number stays as it is: an id, or a sender by name.
    Address::parse(&given, Region::US).ok().map(|address| address.reveal().to_owned())
}

/// A cursor as the caller keeps it. It is no promise: only `next` makes one.
pub(super) fn cursor_text(cursor: Cursor) -> String {
    let at = cursor.updated_at;
    format!("{}.{:09}-{}", at.timestamp(), at.timestamp_subsec_nanos(), cursor.number)
}

fn cursor(text: &str) -> Option<Cursor> {
    let (at, number) = text.split_once('-')?;
    let (seconds, nanos) = at.split_once('.')?;
    Some(Cursor {
        updated_at: DateTime::from_timestamp(seconds.parse().ok()?, nanos.parse().ok()?)?,
        number: number.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let at = DateTime::from_timestamp(1_763_650_000, 123_456_789).unwrap();
        let given = Cursor { updated_at: at, number: "00001001".parse().unwrap() };
        assert_eq!(cursor(&cursor_text(given)), Some(given));
        for rubbish in ["", "-", "1-1", "x.1-00001001", "1.1-1001"] {
            assert_eq!(cursor(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn every_wrong_parameter_is_told() {
        let problem = ListQuery::parse("status=shut&limit=0&sort=up").unwrap_err();
        let Problem::Invalid(mistakes) = problem else { panic!("{problem:?}") };
        let fields: Vec<_> = mistakes.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["status", "limit", "sort"]);
    }

    #[test]
    fn a_contact_is_found_however_its_number_is_written() {
        let meant = |query: &str| ListQuery::parse(query).unwrap().filter.contact.unwrap();
        for written in ["%2B12065550100", "+12065550100", "12065550100", "2065550100", "(206)%20555-0100"] {
            assert_eq!(meant(&format!("contact={written}")), "+12065550100", "{written}");
        }
        assert_eq!(meant("contact=+4915112345678"), "+4915112345678");
        assert_eq!(meant("contact=whatsapp:+4915112345678"), "whatsapp:+4915112345678");
        for id in ["0198c1f2-7c1e-7c3a-9d2e-0123456789ab", "01981234-5678-7123-8123-012345678901", "ACME"] {
            assert_eq!(meant(&format!("contact={id}")), id);
        }
        assert!(ListQuery::parse("contact=%00").is_err());
    }

    #[test]
    fn without_parameters_the_first_fifty_are_meant() {
        let query = ListQuery::parse("").unwrap();
        assert_eq!((query.limit, query.after), (50, None));
    }
}
