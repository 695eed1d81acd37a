//! What a setting can be: how each type is read from text, and how it is written back.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// How a value is written in TOML. In the environment everything is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `"in quotes"`
    Text,
    /// `12` or `0.5`
    Number,
}

/// A type a setting can have.
pub(crate) trait Scalar: Sized {
    /// How it is written in TOML.
    const KIND: Kind = Kind::Text;
    /// Whether its value must never be shown.
    const SECRET: bool = false;
    /// What is asked for, to complete "expected …". Mistakes show this and never the value that was given: it
    /// may be a secret in the wrong place.
    const EXPECTED: &'static str;
    /// Reads the value; `None` when it is not what was expected.
    fn parse(text: &str) -> Option<Self>;
    /// The value as [`Scalar::parse`] reads it.
    fn text(&self) -> String;
}

/// A place for a setting's value: a [`Scalar`] or an optional one.
pub(crate) trait Value {
    /// See [`Scalar::KIND`].
    fn kind(&self) -> Kind;
    /// See [`Scalar::SECRET`].
    fn secret(&self) -> bool;
    /// See [`Scalar::EXPECTED`].
    fn expected(&self) -> &'static str;
    /// Takes a new value from text; false, and unchanged, when it is not what was expected.
    fn set(&mut self, text: &str) -> bool;
    /// The value as text; `None` when unset.
    fn text(&self) -> Option<String>;
}

impl<T: Scalar> Value for T {
    fn kind(&self) -> Kind {
        T::KIND
    }
    fn secret(&self) -> bool {
        T::SECRET
    }
    fn expected(&self) -> &'static str {
        T::EXPECTED
    }
    fn set(&mut self, text: &str) -> bool {
        T::parse(text).map(|value| *self = value).is_some()
    }
    fn text(&self) -> Option<String> {
        Some(Scalar::text(self))
    }
}

impl<T: Scalar> Value for Option<T> {
    fn kind(&self) -> Kind {
        T::KIND
    }
    fn secret(&self) -> bool {
        T::SECRET
    }
    fn expected(&self) -> &'static str {
        T::EXPECTED
    }
    fn set(&mut self, text: &str) -> bool {
        T::parse(text).map(|value| *self = Some(value)).is_some()
    }
    fn text(&self) -> Option<String> {
        self.as_ref().map(Scalar::text)
    }
}

/// Types that read and write themselves.
macro_rules! plain {
    ($($type:ty, $kind:ident, $expected:literal;)*) => { $(
        impl Scalar for $type {
            const KIND: Kind = Kind::$kind;
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

plain! {
    NonZeroU16, Number, "a whole number from 1 to 65535";
    NonZeroU32, Number, "a whole number from 1 to 4294967295";
    u32, Number, "a whole number from 0 to 4294967295";
    SocketAddr, Text, "an address and a port, such as \"127.0.0.1:8080\"";
}

impl Scalar for String {
    const EXPECTED: &'static str = "text that is not empty";
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
    fn text(&self) -> String {
        self.clone()
    }
}

impl Scalar for PathBuf {
    const EXPECTED: &'static str = "a path";
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn text(&self) -> String {
        self.display().to_string()
    }
}

impl Scalar for SecretString {
    const SECRET: bool = true;
    const EXPECTED: &'static str = "a secret that is not empty";
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn text(&self) -> String {
        self.expose_secret().to_owned()
    }
}

/// A closed set of values, each with the text that stands for it.
macro_rules! choice {
    ($(#[doc = $about:literal])* pub enum $name:ident: $kind:ident, $expected:literal {
        $($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])* $variant,)* }

        impl crate::config::value::Scalar for $name {
            const KIND: crate::config::value::Kind = crate::config::value::Kind::$kind;
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
            fn text(&self) -> String {
                match self { $(Self::$variant => $text.to_owned(),)* }
            }
        }
    };
}

/// Text of a certain form, kept as it was typed.
macro_rules! checked_text {
    ($(#[doc = $about:literal])* pub struct $name:ident: $expected:literal, $check:expr) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The value of this text; `None` when it has not the form.
            pub fn parse(text: &str) -> Option<Self> {
                let check: fn(&str) -> bool = $check;
                check(text).then(|| Self(text.to_owned()))
            }
        }

        impl crate::config::value::Scalar for $name {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                Self::parse(text)
            }
            fn text(&self) -> String {
                self.0.clone()
            }
        }
    };
}

pub(crate) use {checked_text, choice};
