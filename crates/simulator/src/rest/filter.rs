//! The `DateSent` filters of a list: `DateSent=`, `DateSent<=`, `DateSent>=`, each a date or a time in GMT.
//! Source: the Messages list in Twilio's OpenAPI. A message that was not sent yet has no such date and is in
//! none of them; Twilio does not document what it does there.

use casewire_twilio::parameters::Parameters;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Utc};

/// From when, and before when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DateSent {
    from: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl DateSent {
    /// Reads the filters; `None` when one of them is neither a date nor a time.
    pub(super) fn read(asked: &Parameters) -> Option<Self> {
        let mut filter = Self::default();
        if let Some(text) = asked.filled("DateSent") {
            // A time here means its day: the official libraries write a day as its midnight.
            let (from, before) = day(span(text)?.0.date_naive())?;
            filter = Self { from: Some(from), before: Some(before) };
        }
        if let Some(text) = asked.filled("DateSent>") {
            filter.from = filter.from.max(Some(span(text)?.0));
        }
        if let Some(text) = asked.filled("DateSent<") {
            let before = span(text)?.1;
            filter.before = Some(filter.before.map_or(before, |other| other.min(before)));
        }
        Some(filter)
    }

    /// Whether a message that was sent then is asked for.
    pub(super) fn includes(&self, sent: Option<DateTime<Utc>>) -> bool {
        match sent {
            None => *self == Self::default(),
            Some(sent) => {
                self.from.is_none_or(|from| sent >= from) && self.before.is_none_or(|before| sent < before)
            }
        }
    }
}

/// What a date or a time covers: the day, or the second.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return day(date);
    }
    let plain = |format| NaiveDateTime::parse_from_str(text, format).map(|time| time.and_utc()).ok();
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .map(|time| time.to_utc())
        .ok()
        .or_else(|| plain("%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|| plain("%Y-%m-%dT%H:%M:%S%.f"))?;
    // The API shows whole seconds, so a second is the finest that can be asked for.
    let second = time.timestamp();
    Some((DateTime::from_timestamp(second, 0)?, DateTime::from_timestamp(second + 1, 0)?))
}

fn day(date: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let start = |date: NaiveDate| Some(date.and_hms_opt(0, 0, 0)?.and_utc());
    Some((start(date)?, start(date.checked_add_days(Days::new(1))?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, sent: &str, expected: bool) {
        let asked = Parameters::parse(query.as_bytes(), 10);
        let filter = asked.ok().and_then(|asked| DateSent::read(&asked));
        let sent = DateTime::parse_from_rfc3339(sent).ok().map(|sent| sent.to_utc());
        assert_eq!(filter.map(|filter| filter.includes(sent)), Some(expected), "{query}");
    }

    #[test]
    fn a_date_is_the_whole_day() {
        check("DateSent=2026-11-20", "2026-11-20T23:59:59Z", true);
        check("DateSent=2026-11-20", "2026-11-21T00:00:00Z", false);
        check("DateSent<=2026-11-20", "2026-11-20T12:00:00Z", true);
        check("DateSent%3E=2026-11-20", "2026-11-19T23:59:59Z", false);
        check("DateSent=2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z", true);
        check("DateSent>=2026-11-19&DateSent<=2026-11-20", "2026-11-20T01:00:00Z", true);
    }

    #[test]
    fn a_time_is_read_in_the_forms_twilio_takes() {
        check("DateSent>=2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", true);
        check("DateSent>=2026-11-20+10:00:01.000", "2026-11-20T10:00:00Z", false);
        check("DateSent<=Fri,+20+Nov+2026+10:00:00+-0000", "2026-11-20T10:00:00Z", true);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let asked = Parameters::parse(b"DateSent=yesterday", 10);
        assert_eq!(asked.ok().and_then(|asked| DateSent::read(&asked)), None);
    }
}
