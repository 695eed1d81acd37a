//! What `rest` really sends, held against Twilio's own description of its API (`tests/openapi`).

use casewire_domain::{Address, Text};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::rest::{List, Send};
use serde_json::{Value, json};

use crate::provider::{ACCOUNT, Act, Provider, Request, SID, TOKEN, credentials};

const EXTRACTS: [&str; 2] =
    [include_str!("../openapi/messages.json"), include_str!("../openapi/numbers.json")];
const MESSAGES: &str = "/2010-04-01/Accounts/{AccountSid}/Messages.json";
const MESSAGE: &str = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json";
const MEDIA: &str = "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media.json";
const NUMBERS: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json";
const NUMBER: &str = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json";
const PN: &str = "PN00000000000000000000000000000001";
const FORM: &str = "application/x-www-form-urlencoded";

/// What is wrong with a request, by the description of one operation.
fn faults(request: &Request, path: &str) -> Vec<String> {
    let extracts = EXTRACTS.map(|extract| serde_json::from_str::<Value>(extract).unwrap());
    let extract = extracts.into_iter().find(|extract| !extract["paths"][path].is_null()).unwrap();
    let method = request.method.to_ascii_lowercase();
    let operation = &extract["paths"][path][&method];
    if operation.is_null() {
        return vec![format!("no operation {method} {path}")];
    }
    let (sent_path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query = Parameters::parse(query.as_bytes(), 99).unwrap();
    let mut faults = Vec::new();
    match path_parameters(path, sent_path) {
        Some(sent) => faults.extend(check(&extract, &parameters(operation, "path"), &sent)),
        None => faults.push(format!("{sent_path} is not {path}")),
    }
    faults.extend(check(&extract, &parameters(operation, "query"), &query));
    if let Some(form) = operation["requestBody"]["content"].get(FORM) {
        if request.header("content-type") != Some(FORM) {
            faults.push("the content type is not a form's".to_owned());
        }
        let sent = Parameters::parse(request.body.as_bytes(), 99).unwrap();
        faults.extend(check(&extract, &form_fields(&form["schema"]), &sent));
    }
    faults
}

/// A parameter by its description: name, whether it is required, schema.
type Described = (String, bool, Value);

fn parameters(operation: &Value, place: &str) -> Vec<Described> {
    let all = operation["parameters"].as_array().unwrap().iter();
    all.filter(|parameter| parameter["in"] == place)
        .map(|p| (p["name"].as_str().unwrap().to_owned(), p["required"] == true, p["schema"].clone()))
        .collect()
}

fn form_fields(schema: &Value) -> Vec<Described> {
    let required = schema["required"].as_array().unwrap();
    let fields = schema["properties"].as_object().unwrap().iter();
    fields
        .map(|(name, schema)| (name.clone(), required.contains(&Value::from(&name[..])), schema.clone()))
        .collect()
}

/// The values that stand where the template has names in braces.
fn path_parameters(template: &str, path: &str) -> Option<Parameters> {
    let mut found = Parameters::default();
    let (mut templates, mut parts) = (template.split('/'), path.split('/'));
    loop {
        match (templates.next(), parts.next()) {
            (None, None) => return Some(found),
            (Some(template), Some(part)) => {
                match template.strip_prefix('{').and_then(|t| t.split_once('}')) {
                    Some((name, suffix)) => found.push(name, part.strip_suffix(suffix)?),
                    None if template == part => {}
                    None => return None,
                }
            }
            _ => return None,
        }
    }
}

fn check(extract: &Value, described: &[Described], sent: &Parameters) -> Vec<String> {
    let missing = described.iter().filter(|(name, required, _)| *required && sent.get(name).is_none());
    let mut faults: Vec<_> = missing.map(|(name, ..)| format!("{name} is missing")).collect();
    for (name, value) in sent.iter() {
        match described.iter().find(|(known, ..)| known == name) {
            None => faults.push(format!("{name} is not described")),
            Some((.., schema)) if fits(extract, schema, value) => {}
            Some((.., schema)) => faults.push(format!("{name} does not fit {schema}")),
        }
    }
    faults
}

fn fits(extract: &Value, schema: &Value, value: &str) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(extract, extract.pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    let length = value.chars().count() as u64;
    let in_length = schema["minLength"].as_u64().is_none_or(|min| length >= min)
        && schema["maxLength"].as_u64().is_none_or(|max| length <= max);
    let one_of = schema["enum"].as_array().is_none_or(|all| all.contains(&Value::from(value)));
    in_length
        && one_of
        && of_type(extract, schema, value)
        && of_pattern(schema, value)
        && of_format(schema, value)
}

fn of_type(extract: &Value, schema: &Value, value: &str) -> bool {
    let number = value.parse::<i64>();
    match schema["type"].as_str().unwrap() {
        "string" => true,
        "boolean" => matches!(value, "true" | "false"),
        "number" => value.parse::<f64>().is_ok(),
        "integer" => number.is_ok_and(|number| {
            schema["minimum"].as_i64().is_none_or(|min| number >= min)
                && schema["maximum"].as_i64().is_none_or(|max| number <= max)
        }),
        "array" => fits(extract, &schema["items"], value),
        other => panic!("no rule for the type {other}"),
    }
}

/// The patterns of this API are all a prefix, or one of several, and 32 hex digits.
fn of_pattern(schema: &Value, value: &str) -> bool {
    let Some(pattern) = schema["pattern"].as_str() else { return true };
    let prefixes = pattern.strip_prefix('^').and_then(|p| p.strip_suffix("[0-9a-fA-F]{32}$"));
    let prefixes = prefixes.unwrap_or_else(|| panic!("no rule for the pattern {pattern}"));
    let hex = |digits: &str| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    prefixes.trim_matches(['(', ')']).split('|').any(|prefix| value.strip_prefix(prefix).is_some_and(hex))
}

fn of_format(schema: &Value, value: &str) -> bool {
    match schema["format"].as_str() {
        // Which methods there are the schema lists itself.
        None | Some("int64" | "http-method") => true,
        Some("phone-number") => {
            let digits = value.strip_prefix('+').unwrap_or_default();
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        }
        Some("uri") => url::Url::parse(value).is_ok(),
        Some("date-time") => chrono::DateTime::parse_from_rfc3339(value).is_ok(),
        Some(other) => panic!("no rule for the format {other}"),
    }
}

#[track_caller]
fn assert_described(request: &Request, path: &str) {
    assert_eq!(faults(request, path), Vec::<String>::new(), "{request:?}");
    // "AC…:s3cret t0ken" in base64, as Basic authentication has it.
    use base64::Engine;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    assert_eq!(request.header("authorization"), Some(format!("Basic {basic}").as_str()));
}

async fn sent(from: &str, body: &str) -> Request {
    let provider = Provider::playing([Act::json("500 INTERNAL SERVER ERROR", "", "")]).await;
    let (from, to) = (Address::from_stored(from), Address::from_stored("+12065550100"));
    let id = "000000000000000000000000000000ab".parse().unwrap();
    let status_callback = casewire_twilio::webhook::status_url("https://desk.example", "main", id, 1);
    let send = Send { from: &from, to: &to, body: &Text::new(body), status_callback: &status_callback };
    let _ = provider.client().send(&credentials(), &send).await;
    provider.received().remove(0)
}

#[tokio::test]
async fn a_text_is_created_as_described() {
    let words = "R&D: 50% + a=b 🔥\nשלום";
    let request = sent("+12065550199", words).await;
    assert_described(&request, MESSAGES);
    let form = Parameters::parse(request.body.as_bytes(), 9).unwrap();
    assert_eq!((form.get("Body"), form.get("From")), (Some(words), Some("+12065550199")));
    let callback = form.get("StatusCallback").unwrap();
    assert!(callback.starts_with("https://desk.example/inbound/main/status/"), "{callback}");
}

#[tokio::test]
async fn a_messaging_service_sends_as_described() {
    let service = "MG0123456789abcdef0123456789abcdef";
    let request = sent(service, "hi").await;
    assert_described(&request, MESSAGES);
    let form = Parameters::parse(request.body.as_bytes(), 9).unwrap();
    assert_eq!((form.get("MessagingServiceSid"), form.get("From")), (Some(service), None));
}

#[tokio::test]
async fn messages_are_listed_and_fetched_as_described() {
    let provider = Provider::playing([]).await;
    let (client, credentials) = (provider.client(), credentials());
    let number = Address::from_stored("+12065550100");
    let now = chrono::Utc::now();
    let all = List {
        to: Some(&number),
        from: Some(&number),
        sent_after: Some(now),
        sent_before: Some(now),
        page_size: 1000,
    };
    for list in [all, List::default()] {
        assert!(client.list(&credentials, &list).await.is_err());
    }
    assert!(client.fetch(&credentials, SID).await.is_err());
    assert!(client.media(&credentials, SID).await.is_err());
    let received = provider.received();
    assert_described(&received[0], MESSAGES);
    assert_described(&received[1], MESSAGES);
    assert_described(&received[2], MESSAGE);
    assert_described(&received[3], MEDIA);
}

#[tokio::test]
async fn a_number_is_looked_up_and_given_its_webhook_as_described() {
    let found = json!({ "incoming_phone_numbers": [
        { "sid": "PN0123456789abcdef0123456789abcdef", "phone_number": "+120655501990", "sms_url": "https://other" },
        { "sid": PN, "phone_number": "+12065550199", "sms_url": "https://there", "sms_method": "GET" },
    ] });
    let changed =
        json!({ "sid": PN, "phone_number": "+12065550199", "sms_url": "https://desk.example/inbound/main" });
    let date = "Date: Fri, 20 Nov 2026 10:00:00 GMT\r\n";
    let script = [&found, &changed, &found].map(|body| Act::json("200 OK", date, &body.to_string()));
    let provider = Provider::playing(script).await;
    let (client, credentials) = (provider.client(), credentials());
    let looked_for = Address::from_stored("+12065550199");

    let found = client.number(&credentials, &looked_for).await.unwrap();
    assert_eq!(found.at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-11-20T10:00:00+00:00"));
    let number = found.number.unwrap();
    assert_eq!((number.sid.as_str(), number.sms_url.as_deref()), (PN, Some("https://there")));
    assert!(!format!("{number:?}").contains("555"), "{number:?}");
    let url = "https://desk.example/inbound/main#rc=5&rp=all";
    client.set_webhook(&credentials, &number, url, "POST").await.unwrap();
    assert_eq!(client.clock(&credentials).await.unwrap(), found.at);

    let received = provider.received();
    assert_described(&received[0], NUMBERS);
    assert_described(&received[1], NUMBER);
    assert_described(&received[2], NUMBERS);
    let form = Parameters::parse(received[1].body.as_bytes(), 9).unwrap();
    assert_eq!(
        (received[1].method.as_str(), form.get("SmsUrl"), form.get("SmsMethod")),
        ("POST", Some(url), Some("POST"))
    );
}

#[tokio::test]
async fn the_description_refuses_what_is_wrong() {
    let right = sent("+12065550199", "hi").await;
    let body = |from: &str, to: &str| Request { body: right.body.replacen(from, to, 1), ..right.clone() };
    let target =
        |from: &str, to: &str| Request { target: right.target.replacen(from, to, 1), ..right.clone() };
    for (request, fault) in [
        (body("To=", "Too="), "To is missing"),
        (body("Body=", "body="), "body is not described"),
        (body("From=%2B", "From=x"), "From does not fit"),
        (body("From=%2B12065550199", "MessagingServiceSid=MG1"), "MessagingServiceSid does not fit"),
        (body("StatusCallback=https", "StatusCallback="), "StatusCallback does not fit"),
        (body("Body=hi", "ValidityPeriod=soon"), "ValidityPeriod does not fit"),
        (body("Body=hi", "RiskCheck=maybe"), "RiskCheck does not fit"),
        (target("AC", "XX"), "AccountSid does not fit"),
        (target("Messages", "Texts"), "is not"),
        (Request { method: "PUT".to_owned(), ..right.clone() }, "no operation"),
        (Request { headers: Vec::new(), ..right.clone() }, "content type"),
    ] {
        let faults = faults(&request, MESSAGES);
        assert!(faults.iter().any(|found| found.contains(fault)), "{fault}: {faults:?}");
    }
    let list = |query: &str| Request {
        method: "GET".to_owned(),
        target: format!("{}?{query}", right.target),
        body: String::new(),
        ..right.clone()
    };
    assert_eq!(faults(&list("PageSize=1000"), MESSAGES), Vec::<String>::new());
    for query in ["PageSize=1001", "PageSize=x", "DateSent%3E%3D=2026-01-01T00:00:00Z", "DateSent%3E=now"] {
        assert_eq!(faults(&list(query), MESSAGES).len(), 1, "{query}");
    }
}
