//! What `GET /cases` may be asked.

use casewire_domain::case::CaseStatus;
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
    /// Only cases of this contact: its id, or its address in E.164 (`%2B12065550100`).
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
            contact: fields.optional("contact", any, ""),
            line: fields.optional("line", any, ""),
        };
        let size = |text: &str| text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        let limit = fields.optional("limit", size, "must be a number from 1 to 200").unwrap_or(USUAL);
        let after = fields.optional("after", cursor, "must be the `next` of an earlier answer");
        fields.finish()?;
        Ok(Self { filter, limit, after })
    }
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
    fn without_parameters_the_first_fifty_are_meant() {
        let query = ListQuery::parse("").unwrap();
        assert_eq!((query.limit, query.after), (50, None));
    }
}
