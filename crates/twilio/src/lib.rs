//! casewire twilio.
