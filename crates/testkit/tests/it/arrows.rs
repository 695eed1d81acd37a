//! Which crate may depend on which: the arrows of `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What each crate may use of ours. Roles never know each other, ingest knows no database, and the domain knows none.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("proto", &["domain"]),
    ("twilio", &["domain"]),
    ("bus", &["domain", "proto"]),
    ("store", &["domain"]),
    ("runtime", &["domain"]),
    ("ingest", &["bus", "domain", "runtime", "twilio"]),
    ("worker", &["bus", "domain", "runtime", "store", "twilio"]),
    ("desk", &["domain", "runtime", "store"]),
    ("simulator", &["domain", "runtime", "twilio"]),
    ("testkit", &[]),
    (
        "casewire",
        &["bus", "desk", "domain", "ingest", "proto", "runtime", "simulator", "store", "twilio", "worker"],
    ),
    // It measures the program from outside, and only makes events and webhooks as the roles do.
    ("bench", &["bus", "domain", "runtime", "simulator", "testkit", "twilio"]),
];

/// What tests of any crate but the domain may use besides.
const FOR_TESTS: &[&str] = &["testkit", "simulator"];

/// What the tests of one crate may use besides. The worker's stories are of delivery callbacks, which are only
/// what they really are when they come signed over HTTP.
const FOR_TESTS_OF: &[(&str, &[&str])] = &[("worker", &["ingest"])];

/// Crates of others that belong to one part alone (or to a few): whoever else wants them asks that part.
const BELONGS_TO: &[(&str, &[&str])] = &[
    ("sea-orm", &["store"]),
    ("sea-orm-migration", &["store"]),
    ("sqlx", &["bus", "store", "bench"]),
    ("async-nats", &["bus", "bench"]),
    ("prost", &["proto"]),
    ("actix-web", &["runtime", "ingest", "desk", "simulator", "casewire", "bench"]),
];

/// The domain is values and functions: nothing that waits, reads, writes or logs.
const NOT_IN_DOMAIN: &[&str] =
    &["tokio", "futures-util", "async-trait", "reqwest", "rustls", "getrandom", "tracing"];

#[derive(Default)]
struct Package {
    used: BTreeSet<String>,
    used_by_tests: BTreeSet<String>,
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() -> Result<()> {
    let packages = packages()?;
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(found, known, "a crate came or went: give it its arrows");

    let mut wrong = Vec::new();
    for (name, allowed) in ARROWS {
        let package = &packages[*name];
        let for_tests = if *name == "domain" { &[] } else { FOR_TESTS };
        let besides = FOR_TESTS_OF.iter().filter(|(of, _)| of == name).flat_map(|(_, others)| *others);
        let for_tests: Vec<&str> = for_tests.iter().chain(besides).copied().collect();
        for other in ours(&package.used).filter(|other| !allowed.contains(other)) {
            wrong.push(format!("{name} -> {other}"));
        }
        for other in ours(&package.used_by_tests) {
            if other != *name && !allowed.contains(&other) && !for_tests.contains(&other) {
                wrong.push(format!("{name} -> {other} (tests)"));
            }
        }
    }
    assert!(wrong.is_empty(), "not among the arrows: {wrong:?}");
    Ok(())
}

#[test]
fn a_database_a_broker_and_a_web_server_are_each_known_only_where_they_belong() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, package) in packages()? {
        for (foreign, owners) in BELONGS_TO {
            if package.used.contains(*foreign) && !owners.contains(&name.as_str()) {
                wrong.push(format!("{name} -> {foreign}"));
            }
        }
    }
    assert!(wrong.is_empty(), "outside the part it belongs to: {wrong:?}");
    Ok(())
}

#[test]
fn the_domain_does_no_io() -> Result<()> {
    let packages = packages()?;
    let banned = BELONGS_TO.iter().map(|(name, _)| name).chain(NOT_IN_DOMAIN);
    let wrong: Vec<&&str> = banned.filter(|name| packages["domain"].used.contains(**name)).collect();
    assert!(wrong.is_empty(), "the domain uses {wrong:?}");
    Ok(())
}

/// Names of ours, short: `casewire-bus` is `bus`.
fn ours(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| short(name))
}

fn short(name: &str) -> Option<&str> {
    if name == "casewire" { Some(name) } else { name.strip_prefix("casewire-") }
}

/// The workspace's packages by short name, as cargo itself reads their manifests.
fn packages() -> Result<BTreeMap<String, Package>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    list(&metadata, "packages")?.iter().map(package).collect()
}

fn package(described: &Value) -> Result<(String, Package)> {
    let name = described["name"].as_str().and_then(short).context("a package whose name is not ours")?;
    let mut package = Package::default();
    for dependency in list(described, "dependencies")? {
        let used = dependency["name"].as_str().context("a dependency without a name")?.to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => package.used_by_tests.insert(used),
            _ => package.used.insert(used),
        };
    }
    Ok((name.to_owned(), package))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("no list {key:?} in the metadata"))
}
