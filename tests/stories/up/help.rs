//! Help, for every command there is.

use std::time::Duration;

use crate::kit::casewire;

async fn help(command: &[String]) -> String {
    let args: Vec<_> = command.iter().map(String::as_str).chain(["--help"]).collect();
    casewire(&args).run_well(Duration::from_secs(10)).await.unwrap()
}

/// The names under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let after = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = after.take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

#[tokio::test]
async fn every_command_has_help_with_an_example() {
    let mut open = vec![Vec::new()];
    let mut seen = Vec::new();
    while let Some(command) = open.pop() {
        let help = help(&command).await;
        let name = ["casewire".to_owned()].into_iter().chain(command.clone()).collect::<Vec<_>>().join(" ");
        let example = help.split_once("Example").map(|(_, example)| example).unwrap_or_default();
        assert!(example.contains(&name), "no example of {name}:\n{help}");
        open.extend(commands(&help).into_iter().map(|sub| [command.clone(), vec![sub]].concat()));
        seen.push(name);
    }
    for name in [
        "up",
        "simulator text",
        "line add",
        "account rotate-token",
        "dead-letter replay",
        "reconcile",
        "signature",
        "doctor",
        "backup",
        "restore",
    ] {
        assert!(seen.contains(&format!("casewire {name}")), "{name}: {seen:?}");
    }
    assert_eq!(seen.len(), 34, "{seen:?}");
}
