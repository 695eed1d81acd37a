//! Who can reach whom, as far as a URL tells: a number at Twilio must not be pointed where Twilio cannot go.

use url::{Host, Url};

/// Whether this is Twilio's own API, and no stand-in for it.
pub fn is_twilio(api: &str) -> bool {
    host(api).is_some_and(|host| matches!(host, Host::Domain(name) if name.ends_with(".twilio.com")))
}

/// Whether somebody on the internet can mean this host by its name.
pub fn is_public(url: &str) -> bool {
    match host(url) {
        Some(Host::Domain(name)) => {
            name.contains('.') && !name.ends_with(".localhost") && !name.ends_with(".local")
        }
        Some(Host::Ipv4(address)) => {
            !(address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified())
        }
        Some(Host::Ipv6(address)) => {
            let local = address.is_unique_local() || address.is_unicast_link_local();
            !(address.is_loopback() || address.is_unspecified() || local)
        }
        None => false,
    }
}

fn host(url: &str) -> Option<Host<String>> {
    Some(Url::parse(url).ok()?.host()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_inside_a_network_is_not_reached_from_outside() {
        for inside in [
            "http://ingest:8080",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://a.localhost",
            "https://192.168.1.2",
            "http://[::1]:8080",
            "http://[fd00::1]",
            "http://mac.local",
        ] {
            assert!(!is_public(inside), "{inside}");
        }
        for outside in ["https://sms.example.org", "https://example.org/texts", "https://203.0.113.7"] {
            assert!(is_public(outside), "{outside}");
        }
    }

    #[test]
    fn a_simulator_is_not_twilio() {
        assert!(is_twilio("https://api.twilio.com") && is_twilio("https://api.dublin.ie1.twilio.com"));
        assert!(!is_twilio("http://simulator:8080") && !is_twilio("http://127.0.0.1:8082"));
    }
}
