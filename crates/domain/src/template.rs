//! Templates of automatic replies: a small part of Jinja, checked when they are set, bounded when they run.

mod language;

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, context};

use crate::id::CaseNumber;

/// Steps a template may take; a reply of a few variables needs under a hundred.
const FUEL: u64 = 10_000;
/// Longest text sent: Twilio refuses a body over 1,600 characters (error 21617).
pub const MAX_CHARS: usize = 1_600;
/// Longest template: several texts to choose from fit. The parser's stack grows with what it reads.
const MAX_SOURCE: usize = 4 * MAX_CHARS;

/// A template that compiled and rendered once.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
}

/// What a template can name.
#[derive(Clone, Debug)]
pub struct Variables<'a> {
    /// `{{ case_number }}`: eight digits.
    pub case_number: CaseNumber,
    /// `{{ contact_name }}`.
    pub contact_name: &'a str,
    /// `{{ line }}`: the line's webhook id.
    pub line: &'a str,
}

/// Why a template cannot be used. Final: it must be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not compile, or names something unknown.
    #[error("the template cannot be used: {0}")]
    Invalid(String),
    /// It is Jinja, but more of it than a reply may use.
    #[error("the template cannot be used: {0}")]
    Beyond(&'static str),
    /// It is itself too long.
    #[error("the template has more than {MAX_SOURCE} characters")]
    LongSource,
    /// What it made is longer than a text may be.
    #[error("the template made a text of more than {MAX_CHARS} characters")]
    TooLong,
}

const NAME: &str = "reply";

impl Template {
    /// Compiles a template and tries it once, so that a mistake shows when it is set and not when a
    /// customer waits. A template of nothing but white space is `None`: nothing is sent.
    pub fn parse(source: &str) -> Result<Option<Self>, TemplateError> {
        if source.trim().is_empty() {
            return Ok(None);
        }
        if source.chars().count() > MAX_SOURCE {
            return Err(TemplateError::LongSource);
        }
        language::check(source).map_err(refused)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_template_owned(NAME, source.to_owned()).map_err(invalid)?;
        let template = Self { source: source.into(), environment: Arc::new(environment) };
        let sample = CaseNumber::new(12_345_678).map(|case_number| Variables {
            case_number,
            contact_name: "SMS from Seattle, WA",
            line: "main",
        });
        if let Some(sample) = sample {
            template.render(&sample)?;
        }
        Ok(Some(template))
    }

    /// The text of one reply.
    pub fn render(&self, variables: &Variables<'_>) -> Result<String, TemplateError> {
        let text = self
            .environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    case_number => variables.case_number.to_string(),
                    contact_name => variables.contact_name,
                    line => variables.line,
                })
            })
            .map_err(invalid)?;
        if text.chars().count() > MAX_CHARS { Err(TemplateError::TooLong) } else { Ok(text) }
    }

    /// What was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} chars)", self.source.chars().count())
    }
}

fn invalid(error: minijinja::Error) -> TemplateError {
    TemplateError::Invalid(error.to_string())
}

fn refused(refused: language::Refused) -> TemplateError {
    match refused {
        language::Refused::Syntax(error) => invalid(error),
        language::Refused::Beyond(why) => TemplateError::Beyond(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables<'static> {
        Variables {
            case_number: CaseNumber::new(1_001).unwrap(),
            contact_name: "SMS from Seattle, WA",
            line: "main",
        }
    }

    #[test]
    fn a_template_names_the_case() {
        let template = Template::parse("Case {{ case_number }} for {{ contact_name }}").unwrap().unwrap();
        assert_eq!(template.render(&variables()).unwrap(), "Case 00001001 for SMS from Seattle, WA");
    }

    #[test]
    fn a_mistake_shows_when_the_template_is_set() {
        for source in ["{{ case_numbre }}", "{{ case_number", "{{ line|trim(", "{% nonsense %}"] {
            assert!(matches!(Template::parse(source), Err(TemplateError::Invalid(_))), "{source}");
        }
    }

    #[test]
    fn a_template_may_choose_and_write_in_capitals() {
        let source = "{% if contact_name is defined and line == 'main' %}{{ contact_name|upper }}{% else %}\
            {{ 'x' if not line else line|default('you') }}{% endif %}";
        let template = Template::parse(source).unwrap().unwrap();
        assert_eq!(template.render(&variables()).unwrap(), "SMS FROM SEATTLE, WA");
    }

    #[test]
    fn what_could_take_all_memory_or_for_ever_is_refused_unseen() {
        let doubled = format!("{{% set x = line %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(60));
        let deep = format!("{{{{ {}line }}}}", "not ".repeat(100));
        for source in [
            "{{ ''|indent(1000000000000000) }}",
            "{{ ('x' * 99999999) ~ ('x' * 99999999) }}",
            "{{ '%999999999d'|format(1) }}",
            "{{ line|replace('', line)|replace('', line) }}",
            "{% for i in range(100000) %}{{ i }}{% endfor %}",
            "{% with x = line ~ line %}{{ x }}{% endwith %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            &doubled,
            &deep,
        ] {
            assert!(matches!(Template::parse(source), Err(TemplateError::Beyond(_))), "{source}");
        }
        assert_eq!(Template::parse(&"x".repeat(MAX_SOURCE + 1)).err(), Some(TemplateError::LongSource));
        // The parser's own limit on what calls itself comes first here.
        let brackets = format!("{{{{ {}line{} }}}}", "(".repeat(3000), ")".repeat(3000));
        assert!(matches!(Template::parse(&brackets), Err(TemplateError::Invalid(_))));
    }

    #[test]
    fn a_text_too_long_is_refused() {
        let source = "x".repeat(MAX_CHARS + 1);
        assert_eq!(Template::parse(&source).err(), Some(TemplateError::TooLong));
    }

    #[test]
    fn nothing_but_space_sends_nothing() {
        assert!(Template::parse(" \n").unwrap().is_none());
    }
}
