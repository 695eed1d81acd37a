//! Templates of automatic replies: whatever is written, parsing and rendering end soon, with a text that may be sent
//! or an error. libFuzzer's own limits of time and memory (`make fuzz`) see to "soon".

#![no_main]

use casewire_domain::id::CaseNumber;
use casewire_domain::template::{MAX_CHARS, Template, Variables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| {
    // The name of a contact is a customer's to choose, too.
    let (source, contact_name) = raw.split_once('\0').unwrap_or((raw, "SMS from Seattle, WA"));
    let Ok(Some(template)) = Template::parse(source) else { return };
    assert_eq!(template.source(), source);
    let case_number = CaseNumber::new(12_345_678).expect("eight digits");
    let variables = Variables { case_number, contact_name, line: "main" };
    let rendered = template.render(&variables);
    if let Ok(text) = &rendered {
        assert!(text.chars().count() <= MAX_CHARS);
    }
    assert_eq!(template.render(&variables), rendered, "the same every time");
});
