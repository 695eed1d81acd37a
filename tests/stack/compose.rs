//! What docker-compose.yml says of its services, for processes without containers.

use std::path::Path;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// docker-compose.yml, as it is delivered, and the variables it is run with.
pub(crate) struct Compose {
    file: Value,
    variables: &'static [(&'static str, &'static str)],
}

impl Compose {
    pub(crate) fn read(variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { file: super::yaml(&Path::new(ROOT).join("docker-compose.yml")), variables }
    }

    /// The environment of a service, with what stands for containers' addresses and paths put in place.
    pub(crate) fn environment(&self, service: &str, places: &[(String, String)]) -> Vec<(String, String)> {
        let variables = self.service(service)["environment"].as_object().unwrap();
        let value = |value: &Value| placed(&self.interpolated(value.as_str().unwrap()), places);
        variables.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    /// The command of a service.
    pub(crate) fn command(&self, service: &str, places: &[(String, String)]) -> Vec<String> {
        let words = self.service(service)["command"].as_array().unwrap();
        words.iter().map(|word| placed(&self.interpolated(word.as_str().unwrap()), places)).collect()
    }

    /// How many containers of a service there are.
    pub(crate) fn replicas(&self, service: &str) -> usize {
        let replicas = &self.service(service)["deploy"]["replicas"];
        replicas.as_str().map_or(1, |text| self.interpolated(text).parse().unwrap())
    }

    fn service(&self, name: &str) -> &Value {
        let service = &self.file["services"][name];
        assert!(service.is_object(), "no service {name} in docker-compose.yml");
        service
    }

    /// `${NAME}`, `${NAME:-where it is empty}` and `${NAME:+where it is not}`, which may stand within each other.
    fn interpolated(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
        let end = closing(rest);
        let (inside, after) = (&rest[..end], &rest[end + 1..]);
        let (name, rule) = inside.split_once(':').unwrap_or((inside, "-"));
        let given = self.variables.iter().find(|(known, _)| *known == name);
        let value = match (given, rule.split_at(1)) {
            (Some(_), ("+", other)) | (None, ("-", other)) => self.interpolated(other),
            (given, ("-" | "+", _)) => given.map(|(_, value)| (*value).to_owned()).unwrap_or_default(),
            _ => unreachable!("{inside}: neither :- nor :+"),
        };
        format!("{before}{value}{}", self.interpolated(after))
    }
}

/// Where the brace that is open at the start of `text` closes.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let found = text.char_indices().find(|(_, sign)| {
        depth += match sign {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    });
    found.unwrap().0
}

fn placed(text: &str, places: &[(String, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
}
