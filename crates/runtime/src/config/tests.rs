use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

/// A file of this text in a folder of its own.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("casewire.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let (_dir, path) = file(text);
    Config::load(Some(&path), variables(env), Config::default())
}

/// The mistakes, their folder left out.
fn mistakes(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let shown = |mistake: &Mistake| {
        let text = mistake.to_string();
        text.rsplit_once("/casewire.toml").map_or(text.clone(), |(_, rest)| format!("casewire.toml{rest}"))
    };
    load(text, env).err().map(|all| all.iter().map(shown).collect()).unwrap_or_default()
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_defaults() {
    let config = load(
        "[stream]\nack_wait = \"40s\"\nshards = 8\n",
        &[
            ("CASEWIRE_STREAM__ACK_WAIT", "45s"),
            ("CASEWIRE_TEST_NATS_SERVER", "x"),
            ("HOME", "/"),
            ("CASEWIRE_DATA__DIR", ""),
        ],
    )
    .unwrap();
    assert_eq!(config.stream.ack_wait, Duration::from_secs(45));
    assert_eq!(config.stream.shards.get(), 8);
    assert_eq!(config.stream.publish_timeout, Duration::from_millis(2500));
    assert_eq!(config.data.dir, PathBuf::from("casewire-data"));
    assert_eq!(
        config.origin("stream.ack_wait").map(ToString::to_string).as_deref(),
        Some("CASEWIRE_STREAM__ACK_WAIT")
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_the_nearest_setting() {
    let found = mistakes(
        "top = 1\n[server]\nlisten = 8080\nlissten = \"127.0.0.1:1\"\n[stream]\nack_wait = \"30\"\n\
         shards = \"4\"\n[ingest]\nrefusal_status = 404\nmax_body = []\n",
        &[
            ("CASEWIRE_SERVER__OPS_LISTNE", "x"),
            ("CASEWIRE_NOTHING__LIKE_IT", "x"),
            ("CASEWIRE_GUARD__REPLIES_PER_DAY", "0"),
        ],
    );
    assert_eq!(
        found,
        [
            "casewire.toml:1: `top` stands outside of any [section]",
            "casewire.toml:3: `server.listen` must be an address and a port, such as \"127.0.0.1:8080\"",
            "casewire.toml:4: `server.lissten` is no setting; is `listen` of [server] meant?",
            "casewire.toml:6: `stream.ack_wait` must be a duration of 1ms or more with its unit, such as \"2.5s\", \"15m\" or \"7d\"",
            "casewire.toml:7: `stream.shards` must be a whole number from 1 to 65535",
            "casewire.toml:9: `ingest.refusal_status` must be 403 or 401",
            "casewire.toml:10: `ingest.max_body` must be a size with its unit, such as \"128KiB\" or \"1GiB\"",
            "CASEWIRE_GUARD__REPLIES_PER_DAY: `guard.replies_per_day` must be a whole number from 1 to 4294967295",
            "CASEWIRE_NOTHING__LIKE_IT: `nothing.like_it` is no setting",
            "CASEWIRE_SERVER__OPS_LISTNE: `server.ops_listne` is no setting; is CASEWIRE_SERVER__OPS_LISTEN meant?",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_one_mistake_beside_the_others() {
    let found = mistakes("[twilio]\nauth_token = \"s3cret\n", &[("CASEWIRE_X__Y", "1")]);
    assert!(found[0].starts_with("casewire.toml:2: "), "{found:?}");
    assert_eq!(found[1], "CASEWIRE_X__Y: `x.y` is no setting");
    assert!(!found.concat().contains("s3cret"), "{found:?}");
    let missing = Config::load(Some(Path::new("/nowhere/casewire.toml")), variables(&[]), Config::default());
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("/nowhere/casewire.toml: the configuration file cannot be read")
    );
}

#[test]
fn a_secret_may_be_in_a_file_and_is_read_without_white_space_around_it() {
    let (_dir, secret) = file(" t0ken \n");
    let secret = secret.display().to_string();
    let by_variable =
        load("", &[("CASEWIRE_STREAM__PASSWORD_FILE", &secret), ("CASEWIRE_STREAM__USER", "u")]).unwrap();
    let by_file = load(&format!("[stream]\nuser = \"u\"\npassword_file = {secret:?}\n"), &[]).unwrap();
    for config in [by_variable, by_file] {
        assert_eq!(
            config.stream.password.map(|password| password.expose_secret().to_owned()).as_deref(),
            Some("t0ken")
        );
    }
}

#[test]
fn a_secret_given_twice_or_in_a_bad_file_is_a_mistake() {
    let (_dir, empty) = file(" \n");
    let empty = empty.display().to_string();
    let found = mistakes(
        "[database]\nurl = \"postgres://u:s3cret@h/d\"\nurl_file = \"x\"\n[stream]\nuser_file = \"x\"\n",
        &[("CASEWIRE_KEYS__MASTER_KEY_FILE", "/nowhere"), ("CASEWIRE_TWILIO__AUTH_TOKEN_FILE", &empty)],
    );
    assert_eq!(found[0], "casewire.toml:3: `database.url` is given twice: itself and as the name of a file");
    assert!(found[1].starts_with("casewire.toml:5: `stream.user_file` is no setting"), "{found:?}");
    assert!(
        found[2].starts_with("CASEWIRE_KEYS__MASTER_KEY_FILE: the file of `keys.master_key` cannot be read"),
        "{found:?}"
    );
    assert_eq!(found[3], "CASEWIRE_TWILIO__AUTH_TOKEN_FILE: the file of `twilio.auth_token` is empty");
    assert_eq!(found.len(), 4);
}

#[test]
fn no_value_of_a_secret_is_ever_shown() {
    let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw=";
    let text = format!("[keys]\nmaster_key = {key:?}\n[database]\nurl = 5\n");
    let env = [
        ("CASEWIRE_SERVER__PUBLIC_URL", "https://u:hunter2@x"),
        ("CASEWIRE_STREAM__NATS_URL", "nats://u:hunter2@x"),
    ];
    let error = load(&text, &env).unwrap_err();
    let good = load(
        &format!("[keys]\nmaster_key = \"{key}=\"\n[database]\nurl = \"postgres://u:hunter2@h/d\"\n"),
        &[],
    );
    let good = good.map(|config| format!("{config:?} {}", config.effective()));
    let shown = format!("{error} {error:?} {good:?}");
    assert!(!shown.contains(key) && !shown.contains("hunter2"), "{shown}");
    let unpadded = mistakes(&format!("[keys]\nmaster_key = {key:?}\n"), &[]);
    assert_eq!(unpadded, ["casewire.toml:2: `keys.master_key` must be 32 bytes in base64"]);
}

#[test]
fn what_only_contradicts_together_is_a_mistake_too() {
    let found = mistakes(
        "[server]\nlisten = \"127.0.0.1:9090\"\n[stream]\nuser = \"u\"\nduplicate_window = \"8d\"\n\
         [twilio]\nnumber = \"+12065550100\"\n[ingest]\nmax_body = \"1GiB\"\n",
        &[],
    );
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn what_is_wrong_by_itself_is_told_with_the_rest_and_what_may_only_seem_wrong_is_not() {
    let found = mistakes(
        "[server]\nlisten = \"nowhere\"\n[stream]\nreplicas = 2\n[keys]\nmaster_key = \"short\"\n\
         [twilio]\naccount_sid = \"AC00000000000000000000000000000000\"\nauth_token = \"t\"\nnumber = \"x\"\n",
        &[],
    );
    let settings: Vec<_> = found.iter().filter_map(|mistake| mistake.split('`').nth(1)).collect();
    assert_eq!(settings, ["server.listen", "stream.replicas", "keys.master_key", "twilio.number"]);
}

#[test]
fn a_role_names_all_that_it_misses() {
    let missing = Config::default().require(Role::Ingest).unwrap_err().to_string();
    for name in ["CASEWIRE_SERVER__PUBLIC_URL", "CASEWIRE_STREAM__NATS_URL", "CASEWIRE_KEYS__MASTER_KEY"] {
        assert!(missing.contains(name), "{missing}");
    }
    assert!(!missing.contains("DATABASE"), "{missing}");
    assert_eq!(Config::default().require(Role::Up), Ok(()));
}

#[test]
fn dangerous_but_legal_settings_are_warned_of_and_the_defaults_are_not() {
    assert_eq!(Config::default().warnings(), Vec::<String>::new());
    let config = load(
        "[server]\npublic_url = \"https://my_host.org\"\n[stream]\nack_wait = \"22s\"\n\
         [ingest]\nbody_timeout = \"13s\"\n[sender]\nlease = \"20s\"\n\
         [worker]\nsweep_lease = \"20s\"\n",
        &[],
    );
    assert_eq!(config.unwrap().warnings().len(), 5);
}

#[test]
fn a_last_look_at_the_list_that_is_too_early_to_send_again_is_warned_of() {
    let looks = |last| {
        let file = format!("[sender]\nsettle_second = \"30s\"\nsettle_last = \"{last}\"\n");
        load(&file, &[]).unwrap().warnings()
    };
    assert!(matches!(&looks("1m")[..], [early] if early.contains("sends it twice")), "{:?}", looks("1m"));
    assert_eq!(looks("2m"), Vec::<String>::new());
}

#[test]
fn waits_that_do_not_fit_the_spill_are_warned_of() {
    let config = load(
        "[stream]\npublish_timeout = \"6s\"\n[ingest]\nspill_after = \"2s\"\nspill_timeout = \"1.5s\"\n",
        &[],
    );
    let warnings = config.unwrap().warnings();
    assert!(
        warnings.len() == 2
            && warnings[0].contains("exceed 3s")
            && warnings[1].contains("`ingest.spill_ack_wait`"),
        "{warnings:?}"
    );
}

#[test]
fn what_is_printed_as_effective_can_be_read_back() {
    let config = load(
        "[stream]\nnats_url = \"nats://a:4222\"\nack_wait = \"90s\"\n[telemetry]\nlog_format = \"json\"\n",
        &[],
    )
    .unwrap();
    let shown = config.effective();
    assert!(shown.contains("ack_wait = \"90s\"  # ") && shown.contains("casewire.toml:3\n"), "{shown}");
    let again = load(&shown, &[]).unwrap();
    let values = |config: &Config| {
        config
            .effective()
            .lines()
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&config));
}

#[test]
fn every_line_of_the_example_can_be_uncommented() {
    let uncommented = |line: &str| {
        let setting = line
            .strip_prefix("# ")
            .filter(|rest| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')));
        setting.unwrap_or(line).to_owned() + "\n"
    };
    let text: String =
        Config::example().lines().filter(|line| !line.contains("_file = \"…\"")).map(uncommented).collect();
    let (_dir, path) = file(&text);
    let mut found = Vec::new();
    let settings = source::from_file(&path, &mut found);
    let mut config = Config::default();
    assert!(settings.len() > 50, "{}", settings.len());
    apply::settings(&mut config, settings, &mut found);
    assert_eq!(found, []);
    let values = |mut config: Config| {
        let sections = config.sections().into_iter();
        sections
            .flat_map(|(_, section)| {
                section.keys().iter().map(|key| (key.name, key.value.text())).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    for ((name, example), (_, default)) in values(config).into_iter().zip(values(Config::default())) {
        assert!(default.is_none() || example == default, "{name}");
    }
}

#[test]
fn the_example_file_says_what_the_defaults_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../casewire.example.toml");
    if std::env::var_os("CASEWIRE_WRITE_EXAMPLE").is_some() {
        std::fs::write(&path, Config::example()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written,
        Config::example(),
        "run this test with CASEWIRE_WRITE_EXAMPLE=1 to write the file anew"
    );
}
