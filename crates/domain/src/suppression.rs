//! Who must not be texted on a line. The register is ordered by the time at which things were received: a
//! STOP that is handled late, or replayed, cannot undo the START that came after it.

use chrono::{DateTime, Utc};

use crate::inbound::Keyword;

/// The last thing known of whether a contact may be texted on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Whether they must not be texted.
    pub active: bool,
    /// How we learnt it.
    pub source: SuppressionSource,
    /// When that reached us.
    pub received_at: DateTime<Utc>,
}

/// How we learnt whether a contact may be texted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionSource {
    /// They sent a STOP or a START word.
    Keyword,
    /// The provider refused a text with error 21610.
    Provider,
}

impl SuppressionSource {
    /// The name used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Provider => "provider",
        }
    }

    /// The source of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Keyword, Self::Provider].into_iter().find(|source| source.as_str() == name)
    }
}

impl Suppression {
    /// What a keyword says, received at this time; a HELP says nothing.
    pub fn said(keyword: Keyword, received_at: DateTime<Utc>) -> Option<Self> {
        let active = match keyword {
            Keyword::Stop => true,
            Keyword::Start => false,
            Keyword::Help => return None,
        };
        Some(Self { active, source: SuppressionSource::Keyword, received_at })
    }

    /// What a provider's refusal says, known at this time.
    pub fn refused(received_at: DateTime<Utc>) -> Self {
        Self { active: true, source: SuppressionSource::Provider, received_at }
    }

    /// Whether this holds from now on: it is newer than what was known, or as new and the stricter.
    pub fn overrules(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| (self.received_at, self.active) > (known.received_at, known.active))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_newer_word_holds_and_of_two_at_once_the_stop() {
        let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
        let at = |keyword, seconds| Suppression::said(keyword, noon + TimeDelta::seconds(seconds)).unwrap();
        let (stop, start) = (at(Keyword::Stop, 0), at(Keyword::Start, 1));
        assert!(start.overrules(Some(&stop)) && !stop.overrules(Some(&start)));
        assert!(
            stop.overrules(Some(&at(Keyword::Start, 0))) && !at(Keyword::Start, 0).overrules(Some(&stop))
        );
        assert!(stop.overrules(None) && !stop.overrules(Some(&stop)));
        assert!(Suppression::refused(noon + TimeDelta::hours(1)).overrules(Some(&start)));
    }

    #[test]
    fn a_help_says_nothing_of_it() {
        assert_eq!(Suppression::said(Keyword::Help, DateTime::UNIX_EPOCH), None);
    }

    #[test]
    fn every_source_is_found_by_its_name() {
        for source in [SuppressionSource::Keyword, SuppressionSource::Provider] {
            assert_eq!(SuppressionSource::parse(source.as_str()), Some(source));
        }
    }
}
